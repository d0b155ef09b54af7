"""Similarity of the layers of two networks."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from keras_otreg.losses import CenteredKernelAlignment, TransportAlignment
from keras_otreg.ot import permuted_fraction
from keras_otreg.workflows.neurons import mean_activations

TRANSPORT, CKA = "transport alignment", "CKA"
PERMUTED = "permuted neurons"
WIDTHS = (32, 128, 512, 2048)
# Near a matching: who is whose partner can be said.
SHARP = TransportAlignment(epsilon=0.05)


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Similarity of the layers of two networks.

    Attributes:
        rows: Layers of the first network.
        columns: Layers of the second.
        values: For each measure, shape `(rows, columns)`: `TRANSPORT` and
            `CKA` are 1 for layers that are alike; `PERMUTED` is the share of
            neurons whose main partner has another number, not a number where
            the widths differ.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Mapping[str, np.ndarray]

    def pairs(self) -> list[tuple[str, str]]:
        """For each of the fewer layers, its match: in the order of depth.

        Of all ways of pairing them without crossing, the one with the largest
        sum of transport alignments.
        """
        values = self.values[TRANSPORT]
        if len(self.rows) < len(self.columns):
            found = [(i, j) for j, i in _in_order(values.T)]
        else:
            found = _in_order(values)
        return [(self.rows[i], self.columns[j]) for i, j in found]


def similarity(
    first: keras.Model,
    second: keras.Model,
    pictures: Sequence[np.ndarray],
    layers: tuple[Sequence[str], Sequence[str]],
    advance: Callable[[], None] = lambda: None,
) -> Similarity:
    """Compare layers of two networks on the pictures that each of them takes.

    `layers` has the paths for each network; `advance` is called after each
    pair of layers.
    """
    found = [
        mean_activations(model, x, paths)
        for model, x, paths in zip(
            (first, second), pictures, layers, strict=True
        )
    ]
    shape = tuple(map(len, layers))
    values = {name: np.full(shape, np.nan) for name in MEASURES}
    for i, x in enumerate(found[0]):
        for j, y in enumerate(found[1]):
            for name, measure in MEASURES.items():
                values[name][i, j] = measure(x, y)
            advance()
    return Similarity(*layers, values)


def _alike(loss, x, y):
    return 1.0 - float(loss(_padded(x), _padded(y)))


def _permuted(x, y):
    if x.shape[1] != y.shape[1]:
        return np.nan
    plan = SHARP.plan(_padded(x), _padded(y))
    is_empty = float(keras.ops.sum(plan)) == 0.0
    return np.nan if is_empty else float(permuted_fraction(plan))


def _padded(activations):
    """Activations with constant neurons added, which have no weight.

    There are few sizes of problems then, each compiled once.
    """
    width = activations.shape[1]
    size = next((x for x in WIDTHS if x >= width), width)
    return np.pad(activations, ((0, 0), (0, size - width)))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    TRANSPORT: functools.partial(_alike, TransportAlignment()),
    CKA: functools.partial(_alike, CenteredKernelAlignment()),
    PERMUTED: _permuted,
}


def _in_order(values):
    """Rows for all columns, rising with them, of the largest sum."""
    rows, columns = values.shape
    best = np.full((rows + 1, columns + 1), -np.inf)
    best[:, 0] = 0.0
    for i in range(1, rows + 1):
        for j in range(1, min(i, columns) + 1):
            taken = best[i - 1, j - 1] + values[i - 1, j - 1]
            best[i, j] = max(best[i - 1, j], taken)
    found, i, j = [], rows, columns
    while j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
            continue
        i, j = i - 1, j - 1
        found.append((i, j))
    return found[::-1]
