"""Run of a graph, call by call over all samples, in bounded memory."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import keras
import numpy as np

from keras_otreg.compression.graph import Graph
from keras_otreg.features.batches import batches

BATCH_SIZE = 32
MEMORY = 2**31


class Samples:
    """Batches of finite inputs of some networks that can be read repeatedly.

    They come from arrays, in the structure that the networks take, or from a
    data set of batches of inputs, or of tuples that begin with inputs.
    """

    def __init__(self, samples: Any, *models: keras.Model):
        is_data = hasattr(samples, "element_spec")
        self._is_array = not is_data and not isinstance(
            samples, keras.utils.PyDataset
        )
        self._samples = samples
        self._dtypes = [x.dtype for x in models[0].inputs]
        self.count = 0
        for batch in self:
            for model in models:
                _check(batch, model)
            self.count += len(batch[0])
        if not self.count:
            raise ValueError(
                "Expected at least one sample in `samples`. Received none; a "
                "data set that can be read only once has to be made anew."
            )

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches():
            # As a Functional network casts what it takes.
            yield [
                keras.ops.convert_to_tensor(x, dtype)
                for x, dtype in zip_longest(batch, self._dtypes)
            ]

    def _batches(self):
        if self._is_array:
            leaves = keras.tree.flatten(self._samples)
            for start in range(0, len(leaves[0]), BATCH_SIZE):
                yield [x[start : start + BATCH_SIZE] for x in leaves]
            return
        for batch in batches(self._samples):
            x = batch[0] if isinstance(batch, tuple) else batch
            yield keras.tree.flatten(x)


class Run:
    """The tensors of a network on all samples, one call after the other.

    What later calls need is kept for as many batches as fit into the memory;
    for the others the network runs again from its inputs.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self._bytes = 0
        self._kept: dict[int, tuple[int, dict[int, Any]]] = {}
        self._last = {key: -1 for key in graph.shapes}
        for index, call in enumerate(graph.calls):
            self._last |= dict.fromkeys(call.inputs, index)
        self._last |= dict.fromkeys(graph.outputs, len(graph.calls))

    def before(
        self, number: int, batch: list[Any], index: int, keys: Iterable[int]
    ) -> dict[int, Any]:
        """Some tensors of a batch, by key, as they are before a call.

        The batch has a number by which it is known again, the call an index.
        """
        position, live = self._kept.pop(number, (0, {}))
        self._bytes -= _bytes(live)
        if not live or position > index:
            live = dict(zip(self.graph.inputs, batch, strict=True))
            position = 0
        for call in self.graph.calls[position:index]:
            live |= call(live)
            position += 1
            live = {k: x for k, x in live.items() if self._last[k] >= position}
        if self._bytes + _bytes(live) < MEMORY:
            self._bytes += _bytes(live)
            self._kept[number] = (position, live)
        return {key: live[key] for key in keys}


def passed(
    samples: Samples, *wanted: Any
) -> Iterator[tuple[int, list[dict[int, Any]]]]:
    """Tensors of several networks on the same samples.

    A data set may give other batches each time it is read: all networks see
    the same ones.

    Of each network are wanted its run, the index of a call, and the keys of
    tensors before this call. Yields, for each batch, the number of samples
    before it and the tensors of each network.
    """
    start = 0
    for number, batch in enumerate(samples):
        yield start, [run.before(number, batch, *x) for run, *x in wanted]
        start += len(batch[0])


def moments(
    samples: Samples, run: Run, index: int, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel of a tensor before a call."""
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for _, (tensors,) in passed(samples, (run, index, [key])):
        x = keras.ops.convert_to_numpy(keras.ops.cast(tensors[key], "float32"))
        x = x.reshape(-1, x.shape[-1]).astype(np.float64)
        count += len(x)
        total = total + x.sum(axis=0)
        squares = squares + (x**2).sum(axis=0)
    mean = total / count
    return mean, np.maximum(squares / count - mean**2, 0.0)


def _check(batch, model):
    shapes = [tuple(x.shape) for x in keras.tree.flatten(model.inputs)]
    found = [tuple(x.shape) for x in batch]
    fits = len(shapes) == len(found) and all(
        len(one) == len(other)
        and all(n in (None, k) for n, k in zip(one[1:], other[1:], strict=True))
        for one, other in zip(shapes, found, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `samples` of shapes {shapes}, which '{model.name}' "
            f"takes. Received: {found}. Pass inputs without labels, or a data "
            "set of batches `(inputs, labels)`."
        )
    for x in batch:
        values = keras.ops.convert_to_numpy(x)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                "Expected finite `samples`. Received NaN or infinity in "
                f"{int((~np.isfinite(values)).any(-1).sum())} places. Remove "
                "these samples."
            )


def _bytes(tensors):
    return sum(4 * int(np.prod(x.shape)) for x in tensors.values())
