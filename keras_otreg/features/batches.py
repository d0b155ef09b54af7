"""Batches of any kind of data set."""

from collections.abc import Iterator
from typing import Any

import keras


def batches(dataset: Any) -> Iterator[Any]:
    """Yield the batches of a `PyDataset` or of any iterable."""
    if isinstance(dataset, keras.utils.PyDataset):
        return (dataset[k] for k in range(len(dataset)))
    return iter(dataset)
