"""Comparison of two networks, layer by layer."""

import dataclasses
import functools
import os
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import rich.table

from keras_otreg import plots
from keras_otreg.data import picture_parts
from keras_otreg.experiments.progress import console_for, progress, say
from keras_otreg.files import written
from keras_otreg.losses import CenteredKernelAlignment, TransportAlignment
from keras_otreg.ot import permuted_fraction
from keras_otreg.workflows.layers import main_layers
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.neurons import mean_activations
from keras_otreg.workflows.project import some
from keras_otreg.workflows.stages import output_folder, write_table

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


def similarity(first, second, pictures, layers, advance=lambda: None):
    """Compare layers of two networks, by their paths, on pictures for each."""
    rows = mean_activations(first, pictures[0], layers[0])
    columns = mean_activations(second, pictures[1], layers[1])
    shape = len(rows), len(columns)
    values = {name: np.full(shape, np.nan) for name in MEASURES}
    for i, x in enumerate(rows):
        for j, y in enumerate(columns):
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
    """Activations padded with constant neurons, which have no weight."""
    # There are few sizes of problems then, each compiled once.
    width = activations.shape[1]
    size = next((x for x in WIDTHS if x >= width), width)
    return np.pad(activations, ((0, 0), (0, size - width)))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    TRANSPORT: functools.partial(_alike, TransportAlignment()),
    CKA: functools.partial(_alike, CenteredKernelAlignment()),
    PERMUTED: _permuted,
}


def _in_order(values):
    """Increasing rows for all columns, of the largest sum."""
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


TABLE = "layers.csv"
FILES = {TRANSPORT: "transport.png", CKA: "cka.png", PERMUTED: "permuted.png"}


def compare(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    pictures: int = 128,
    layers: int = 8,
    image_size: int = 160,
    seed: int = 0,
    quiet: bool = False,
) -> Similarity:
    """Compare all pairs of layers of two networks.

    Prints the layers that match, and the options with which `keras-otreg
    compress` acts there.

    Args:
        first: Path of a network, a `.keras` file: the teacher of a penalty.
        second: Path of another one: the student.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        out: The output folder, for heat maps and a table; none if not given.
        pictures: How many to compare the layers on, at most.
        layers: Layers of each network, at most.
        image_size: Height and width of pictures where a network takes any.
        seed: Of the draw of pictures.
        quiet: Whether to print nothing.

    Raises:
        OSError: If a network or the folder cannot be used.
        ValueError: If there are no pictures.
        ImportError: If a package for pictures is missing.

    Example:
        ```python
        found = otreg.workflows.compare("a.keras", "b.keras", "clothes")
        print(found.pairs())
        ```
    """
    console = console_for(quiet)
    paths = pathlib.Path(first), pathlib.Path(second)
    if out is not None:
        output_folder(pathlib.Path(out), pathlib.Path(data))
    names = "first network", "second network"
    networks = [network_in(*each) for each in zip(paths, names, strict=True)]
    chosen = [main_layers(network, layers) for network in networks]
    held_out = picture_parts(pathlib.Path(data), seed)["validation"]
    with progress(console, len(chosen[0]) * len(chosen[1])) as bar:
        bar.begin("pairs of layers")
        shapes = [picture_shape(x, image_size, "network") for x in networks]
        seen = [some(held_out, pictures, seed, shape)[1] for shape in shapes]
        found = similarity(networks[0], networks[1], seen, chosen, bar.advance)
    _print(paths, pathlib.Path(data), found, console)
    if out is not None:
        files = _write(paths, pathlib.Path(out), found)
        say(console, f"Written to {out}: {', '.join(files)}")
    return found


def _names(paths):
    """Names of two files, with their folders if need be."""
    first, second = (x.resolve() for x in paths)
    if first.name != second.name:
        return [first.name, second.name]
    return [f"{x.parent.name}/{x.name}" for x in (first, second)]


def _print(paths, data, found, console):
    """Print the pairs, and the command that uses them."""
    pairs = found.pairs()
    names = _names(paths)
    table = rich.table.Table(
        f"{names[0]} (teacher)",
        f"{names[1]} (student)",
        *found.values,
        title="Layers that match, in the order of depth",
    )
    for row, column in pairs:
        place = found.rows.index(row), found.columns.index(column)
        numbers = (values[place] for values in found.values.values())
        shown = [f"{x:.2f}" if np.isfinite(x) else "-" for x in numbers]
        table.add_row(row, column, *shown)
    console.print(table)
    at = [f"--at {shlex.quote(f'{column}={row}')}" for row, column in pairs]
    first, second, folder = (shlex.quote(str(x)) for x in (*paths, data))
    command = f"keras-otreg compress {first} {folder} --student {second}"
    say(
        console,
        "To pull the second network towards the first one there:\n\n"
        + " \\\n    ".join([command, *at]),
    )


def _write(paths, folder, found):
    """Write the table and the maps that have values; return their names."""
    pairs = found.pairs()
    axes = dict(zip(("ylabel", "xlabel"), _names(paths), strict=True))
    rows = [
        {
            "first": row,
            "second": column,
            **{
                name: "" if np.isnan(values[i, j]) else round(values[i, j], 5)
                for name, values in found.values.items()
            },
            "match": int((row, column) in pairs),
        }
        for i, row in enumerate(found.rows)
        for j, column in enumerate(found.columns)
    ]
    write_table(folder / TABLE, rows)
    written_files = [TABLE]
    for name, file in FILES.items():
        # Between layers of other widths no neurons are permuted.
        if not np.isfinite(found.values[name]).any():
            continue
        values = found.values[name], found.rows, found.columns
        figure = plots.layer_similarity(
            *values, pairs=pairs, label=name, **axes
        )
        written(folder / file, figure.savefig)
        written_files.append(file)
    return written_files
