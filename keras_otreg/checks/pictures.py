"""Checks of what is to be drawn."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from keras_otreg.checks.values import finite_array


def some_values(names: Collection[Any], name: str, of: str = "epoch") -> None:
    """Raises if there is nothing to draw."""
    if len(names) == 0:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected values of at least "
            f"one {of}. Received: none"
        )


def named_cells(shape: Any, rows: int, columns: int) -> None:
    """Raises unless a matrix has one name for each row and each column."""
    if tuple(shape) != (rows, columns) or 0 in shape:
        raise ValueError(
            "Invalid value for argument `values`. Expected a value for each "
            f"pair of names, of shape {(rows, columns)}, and not empty. "
            f"Received: shape {tuple(shape)}"
        )


def equal_series(shapes: Mapping[str, Any]) -> None:
    """Raises unless all layers have one value, or equally many."""
    found = set(shapes.values())
    if len(found) != 1 or len(found.pop()) > 1:
        raise ValueError(
            "Invalid value for argument `drift`. Expected one value for each "
            "layer, or as many for each. Received: values of shapes "
            f"{dict(shapes)}"
        )


def plan(value: Any, name: str = "plan", shape: Any = None) -> np.ndarray:
    """Returns a plan as a matrix, if it is one, and of a shape if given."""
    found = finite_array(np.asarray(value), name, least_rank=1)
    if found.ndim != 2 or found.min() < 0:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a plan between two "
            "sets: a matrix of finite numbers of at least 0. Received: shape "
            f"{found.shape}, smallest value {found.min():.3g}"
        )
    if shape not in (None, found.shape):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a plan of shape "
            f"{shape}, for the teacher neurons and the student neurons of the "
            f"activations. Received: shape {found.shape}"
        )
    return found.astype("float64")


def class_names(names: Any, shape: Any) -> None:
    """Raises unless there is a name for each source and each target class."""
    if len(names) != 2 or tuple(map(len, names)) != tuple(shape):
        raise ValueError(
            "Invalid value for argument `class_names`. Expected a pair of "
            "lists, of the names of the source classes and of the target "
            f"classes, of lengths {tuple(shape)}. Received: lengths "
            f"{tuple(map(len, names))}"
        )


def equal_lengths(lengths: Mapping[str, int], name: str) -> None:
    """Raises unless there are as many of one thing as of another."""
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected as many of each. "
            f"Received: {dict(lengths)}"
        )
