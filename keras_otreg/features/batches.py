"""Batches of any kind of data set, and what a model predicts for them."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks

# Logarithms of smaller numbers are those of this one.
TINY = 1e-30


def batches(dataset: Any, are_all_read: bool = True) -> Iterator[Any]:
    """Return the batches of a `PyDataset` or of any iterable.

    Raise if they are all read and have no end.
    """
    if are_all_read and getattr(dataset, "cardinality", int)() == -1:
        raise checks.invalid(
            "data whose passes end, because all batches are read",
            "an infinite data set",
            "Leave out its `repeat()`; `fit(epochs=...)` repeats.",
        )
    if isinstance(dataset, keras.utils.PyDataset):
        return (dataset[k] for k in range(len(dataset)))
    if isinstance(dataset, str) or not isinstance(dataset, Iterable):
        raise checks.invalid(
            "arrays of samples, or a data set of batches of them",
            f"an object of type {type(dataset).__name__}",
        )
    return iter(dataset)


def predictions(model: Any, data: Any) -> list[np.ndarray]:
    """Return predictions, labels and weights of `(x, y)` or such batches."""
    columns = []
    for batch in [data] if isinstance(data, tuple) else batches(data):
        x, y, weight = (*checks.labelled_batch(batch), None)[:3]
        y = np.asarray(keras.ops.convert_to_numpy(y))
        checks.sample_tuple((x, y), "labelled")
        weight = np.ones(len(y)) if weight is None else weight
        weight = keras.ops.convert_to_numpy(weight).reshape(-1)
        found = np.asarray(model.predict(x, verbose=0), np.float64)
        columns.append((found, y, weight))
    checks.some_batches(columns)
    return [np.concatenate(column) for column in zip(*columns, strict=True)]


def class_labels(y: np.ndarray) -> np.ndarray:
    """Return a label for each sample, of labels or of one-hot rows."""
    one_hot = y.ndim == 2 and y.shape[1] > 1
    return y.argmax(axis=1) if one_hot else y.reshape(-1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits of shape `(n, classes)`."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def finite_log(values: np.ndarray) -> np.ndarray:
    """Return logarithms of numbers of at least 0, finite ones also of 0."""
    return np.log(np.maximum(values, TINY))


def predicted(model: Any, x: Any, batch_size: int = 32, verbose=False) -> Any:
    """Predictions of all samples, and checksums of those in batches."""
    if hasattr(x, "shape") or isinstance(x, (list, tuple, dict)):
        if not len(next(iter(keras.tree.flatten(x)), ())):
            raise checks.invalid("at least one unlabelled sample", "none")
        return model.predict(x, batch_size, verbose=int(verbose)), None
    count = getattr(x, "cardinality", int)()
    known = hasattr(x, "__len__") and count >= 0
    bar = keras.utils.Progbar(len(x) if known else None, verbose=int(verbose))
    found, sums = [], []
    for batch in batches(x):
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        p = model.predict_on_batch(inputs)
        found.append(keras.ops.convert_to_numpy(p))
        leaves = keras.tree.flatten(inputs)
        columns = map(keras.ops.convert_to_numpy, leaves)
        sums += [checksum(row) for row in zip(*columns, strict=True)]
        bar.add(1)
    if not found:
        raise checks.invalid("at least one unlabelled sample", "none")
    return np.concatenate(found), np.array(sums, "uint32")


def checksum(leaves: Sequence[np.ndarray]) -> int:
    """Return a checksum of the inputs of a sample."""
    return zlib.crc32(b"".join(x.tobytes() for x in leaves))
