"""Checks of batches that a user gives to look at."""

from collections.abc import Iterable
from typing import Any

import keras

EXPECTED = (
    "Expected a batch (x, y) or (x, y, sample_weight), or a data set of such "
    "batches, of the form that `fit` gets."
)


def data_set(value: Any, name: str) -> Any:
    """Returns `value` if batches can be read from it."""
    is_array = hasattr(value, "shape") or isinstance(value, (str, dict))
    if isinstance(value, Iterable | keras.utils.PyDataset) and not is_array:
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. {EXPECTED} Received: an object "
        f"of type {type(value).__name__}"
    )


def labels(value: Any) -> None:
    """Raises if a batch to look at has no labels."""
    if value is None:
        raise ValueError(
            "Expected a batch (x, y) to look at: the model is compiled with a "
            "loss of labels. Received: inputs alone"
        )


def one_batch(value: Any, name: str) -> tuple[Any, ...]:
    """Returns a batch as a tuple, if it is one and holds samples."""
    if isinstance(value, (tuple, list)) and 1 <= len(value) <= 3:
        leaves = [x for x in keras.tree.flatten(value) if x is not None]
        lengths = [tuple(getattr(x, "shape", ())[:1]) for x in leaves]
        if lengths and all(length and length[0] for length in lengths):
            return tuple(value)
        received = f"arrays of lengths {lengths}"
    else:
        received = f"an object of type {type(value).__name__}"
    raise ValueError(
        f"Invalid value for argument `{name}`. {EXPECTED} Received: {received}"
    )


def some_batches(batches: Any) -> None:
    """Raises if a data set had no batches."""
    if not batches:
        raise ValueError(
            "Expected a data set of at least one batch of (inputs, labels). "
            "Received: an empty one"
        )
