"""The samples of a data set, one pass after the other, and what tells them."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    DEFAULT_BATCH_SIZE,
    as_tuple,
)
from keras_otreg.features.batches import batches

Columns = list[np.ndarray]
WHY = "the teacher sees each sample once, and what it returns stays with it"


class Samples:
    """Reads the samples of some data, as often as it is iterated over.

    A pass gives batches, each as a list of arrays with a row for each sample:
    the leaves of `(x, y, sample_weight)`.

    Args:
        data: Arrays, or a data set of batches.
        batch_size: For arrays; 32 if not given.

    Attributes:
        structure: What the leaves belong to, once the first batch is read.
        batch_size: That of the data, once the first batch is read.
    """

    def __init__(self, data: Any, batch_size: int | None = None):
        if isinstance(data, tf.data.Dataset):
            infinite = data.cardinality() == tf.data.INFINITE_CARDINALITY
            checks.finite_passes(bool(infinite), WHY)
        self._data = data if isinstance(data, BATCHED) else _rows(data)
        self.batch_size = batch_size
        self.structure = None

    def __iter__(self) -> Iterator[Columns]:
        for batch in self._batches():
            batch = as_tuple(batch)
            columns = _columns(batch)
            if self.structure is None:
                self.structure = keras.tree.map_structure(lambda _: 0, batch)
                self.batch_size = self.batch_size or len(columns[0])
            yield columns

    def _batches(self):
        if isinstance(self._data, tf.data.Dataset):
            return self._data.as_numpy_iterator()
        if isinstance(self._data, keras.utils.PyDataset):
            return batches(self._data)
        size = self.batch_size or DEFAULT_BATCH_SIZE
        length = len(keras.tree.flatten(self._data)[0])
        return (
            keras.tree.map_structure(lambda x, k=k: x[k : k + size], self._data)
            for k in range(0, length, size)
        )


class Census:
    """Counts samples, and sums up what they are, in whatever order.

    The digests of the samples are added up: no order leaves a trace in the
    sum, and every sample does.
    """

    def __init__(self):
        self._count = 0
        self._total = 0

    def over(self, passing: Iterable[Columns]) -> Iterator[Columns]:
        """Yields the batches of a pass, and takes note of each."""
        for columns in passing:
            for row in zip(*columns, strict=True):
                self._count += 1
                self._total += _digest(row)
            yield columns

    def result(self) -> str:
        """What equal samples have in common, and no others."""
        return f"{self._count} samples {self._total % 2**128:032x}"


def take_census(samples: Samples) -> str:
    """Reads all samples; returns what equal ones have in common."""
    census = Census()
    for _ in census.over(samples):
        pass
    return census.result()


def equal_samples(columns: Columns, expected: Any) -> Any:
    """Return the dtypes and shapes of samples; raise unless all have them."""
    found = [(column.dtype.name, column.shape[1:]) for column in columns]
    if expected in (None, found):
        return found
    raise checks.invalid(
        "samples of one shape, to keep them beside one another",
        f"samples of {expected} and of {found}, activations last",
        "Resize or pad them first.",
    )


def _rows(data):
    """Arrays as a tuple, which can be read more than once."""
    rows = as_tuple(data) if isinstance(data, tuple) else (data,)
    # A list could be several inputs, or inputs and labels.
    if isinstance(data, list) or len(rows) not in (1, 2, 3):
        raise checks.invalid(
            "arrays x, (x, y) or (x, y, sample_weight), a batched "
            "`tf.data.Dataset` or a `keras.utils.PyDataset`",
            f"a {type(data).__name__} of {len(data)}",
            "Write several inputs as ([x_1, x_2],) or ([x_1, x_2], y).",
        )
    _columns(rows)
    return rows


def _columns(batch):
    """The arrays of a batch, each with a row for each sample."""
    arrays = list(map(_as_array, keras.tree.flatten(batch)))
    lengths = {x.shape[:1] for x in arrays}
    if len(lengths) == 1 and () not in lengths:
        return arrays
    raise checks.invalid(
        "batches of arrays that have a row for each sample",
        f"shapes {[x.shape for x in arrays]}",
        "Batch the data set with its `batch` method.",
    )


def _as_array(value):
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    is_array = isinstance(value, (np.ndarray, np.generic))
    if is_array and value.dtype.kind not in "OSUM":
        return np.asarray(value)
    received = f"array of {value.dtype}" if is_array else type(value).__name__
    raise checks.invalid(
        "samples of numbers, in dense arrays that can be read more than once",
        f"an object of type {received}",
        "Turn text into numbers, and pad what is ragged, in the data and not "
        "in the model.",
    )


def _digest(row):
    digest = hashlib.blake2b(digest_size=16)
    for value in row:
        digest.update(f"{value.dtype.name}{value.shape}".encode())
        digest.update(value.tobytes())
    return int.from_bytes(digest.digest(), "big")
