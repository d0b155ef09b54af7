"""Batches of any kind of data set, and what a model predicts for them."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def batches(dataset: Any) -> Iterator[Any]:
    """Yield the batches of a `PyDataset` or of any iterable."""
    if isinstance(dataset, keras.utils.PyDataset):
        return (dataset[k] for k in range(len(dataset)))
    return iter(dataset)


def predictions(model: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and labels of a pair `(x, y)`, or of such batches."""
    pairs = [data] if isinstance(data, tuple) else batches(data)
    found, labels = [], []
    for x, y, *_ in pairs:
        found.append(np.asarray(model.predict(x, verbose=0), np.float64))
        labels.append(np.asarray(keras.ops.convert_to_numpy(y)))
    return np.concatenate(found), np.concatenate(labels)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits of shape `(n, classes)`."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
