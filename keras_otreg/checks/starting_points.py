"""Checks of where weights started from."""

from typing import Any

# Keras gives the regulariser of a kernel to the two factors of LoRA as well.
_LORA = (
    " If its layer has LoRA, call `enable_lora` first and "
    "`add_starting_point` after it"
)


def equal_shapes(start: Any, weight: Any) -> None:
    """Raises unless a weight has the shape of its starting point."""
    if tuple(start) != tuple(weight):
        raise ValueError(
            "Expected a weight of the shape of its starting point, "
            f"{tuple(start)}. Received: shape {tuple(weight)}.{_LORA}"
        )


def equal_neuron_inputs(start: Any, weight: Any, axis: int) -> None:
    """Raises unless the neurons of two weights have the same inputs."""
    inputs = [list(shape) for shape in (start, weight)]
    for shape in inputs:
        del shape[axis : axis + 1 or None]
    if len(start) != len(weight) or inputs[0] != inputs[1]:
        raise ValueError(
            "Expected a weight of the shape of its starting point, "
            f"{tuple(start)}, in all but axis {axis}, which counts neurons. "
            f"Received: shape {tuple(weight)}.{_LORA}"
        )


def axis_of(axis: Any, shape: Any) -> int:
    """Returns an axis of a shape, counted from the end."""
    rank = max(1, len(shape))
    whole = isinstance(axis, int) and not isinstance(axis, bool)
    if not whole or not -rank <= axis < rank:
        raise ValueError(
            f"Invalid value for argument `axis`. Expected one of the {rank} "
            f"axes of a starting point of shape {tuple(shape)}. "
            f"Received: axis={axis!r}"
        )
    return axis - rank if axis >= 0 else axis
