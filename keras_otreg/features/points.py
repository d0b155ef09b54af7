"""Points made of activations: neurons, samples or positions."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks

SPATIAL = ("pool", "keep")


def units_as_points(activations: Any, spatial: str = "pool") -> Any:
    """Neurons or channels are points, the samples of the batch coordinates.

    Args:
        activations: Shape `(batch, ..., units)`, channels last, of any rank.
        spatial: `"pool"` averages over the positions in between, `"keep"`
            makes each of them a coordinate.

    Returns:
        Points of shape `(units, batch)`, or `(units, batch * positions)`.

    Example:
        ```python
        points = units_as_points(ops.ones((32, 7, 7, 64)))  # (64, 32)
        ```
    """
    if spatial == "pool":
        return ops.transpose(samples_as_points(activations))
    checks.one_of(spatial, SPATIAL, "spatial")
    samples = ops.reshape(activations, (-1, activations.shape[-1]))
    return ops.transpose(samples)


def samples_as_points(activations: Any, spatial: str = "pool") -> Any:
    """Samples are points, units are coordinates.

    Args:
        activations: As of `units_as_points`.
        spatial: `"pool"` averages over the positions in between, `"keep"`
            makes a unit at each of them a coordinate.

    Returns:
        Points of shape `(batch, units)`, or `(batch, positions * units)`.

    Example:
        ```python
        points = samples_as_points(ops.ones((32, 7, 7, 64)))  # (32, 64)
        ```
    """
    shape = tuple(activations.shape[1:])
    if spatial == "pool":
        inner = tuple(range(1, len(shape)))
        return ops.mean(activations, axis=inner) if inner else activations
    checks.one_of(spatial, SPATIAL, "spatial")
    if None in shape:
        raise checks.invalid(
            "activations whose shape is known when the graph is built, to "
            "keep their positions as coordinates",
            f"(batch, *{shape})",
            "Give the model a fixed input size, or use spatial='pool'.",
        )
    return ops.reshape(activations, (-1, math.prod(shape)))


def positions_as_points(activations: Any) -> Any:
    """Positions of each sample are points, units are coordinates.

    Activations `(batch, ..., units)` become a set for each sample, of shape
    `(batch, positions, units)`.

    Example:
        ```python
        sets = positions_as_points(ops.ones((32, 7, 7, 64)))  # (32, 49, 64)
        ```
    """
    _, *inner, units = activations.shape
    if None in inner:
        return ops.reshape(activations, (ops.shape(activations)[0], -1, units))
    return ops.reshape(activations, (-1, math.prod(inner), units))


def match_positions(teacher: Any, student: Any) -> tuple[Any, Any]:
    """Average two maps `(batch, ..., units)` to the smaller sizes."""
    if len(teacher.shape) != len(student.shape):
        raise checks.invalid(
            "teacher and student activations of the same rank, to keep "
            "positions",
            f"shapes {tuple(teacher.shape)} and {tuple(student.shape)}",
            "Use spatial='pool', or another layer.",
        )
    for axis in range(1, len(teacher.shape) - 1):
        sizes = teacher.shape[axis], student.shape[axis]
        if sizes[0] == sizes[1]:
            continue
        if None in sizes:
            raise checks.invalid(
                f"sizes along axis {axis} that are known when the graph is "
                "built, to pool unequal maps",
                sizes,
                "Give the models a fixed input size, or use spatial='pool'.",
            )
        teacher = _average(teacher, axis, min(sizes))
        student = _average(student, axis, min(sizes))
    return teacher, student


def mean_of_samples(values: Any) -> Any:
    """Average values of shape `(batch, ...)` to one for each sample."""
    values = ops.convert_to_tensor(values)
    inner = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=inner) if inner else values


def _average(maps, axis, size):
    """Adaptive average pooling of one axis to `size` cells."""
    # Column `k` averages the cells that meet `[k, k + 1) * length / size`.
    length, columns = maps.shape[axis], np.arange(size)
    cells = np.arange(length)[:, None]
    inside = cells >= columns * length // size
    inside &= cells < -(-(columns + 1) * length // size)
    matrix = (inside / inside.sum(axis=0)).astype("float32")
    matrix = ops.cast(ops.convert_to_tensor(matrix), maps.dtype)
    pooled = ops.tensordot(maps, matrix, [axis, 0])
    # Which is float32 on PyTorch, if it was float64.
    return ops.moveaxis(ops.cast(pooled, maps.dtype), -1, axis)
