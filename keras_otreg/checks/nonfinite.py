"""What is said about numbers that are not finite."""

import re
from collections.abc import Sequence

WAYS_OUT = (
    "Look for NaN in the data, labels out of range and a learning rate that is "
    "too high, or pass `on_nonfinite='skip'` to leave a penalty out of such "
    "steps, or 'propagate' to go on all the same."
)
KEPT = "The weights are as they were before that step. "
SPOILT = (
    "The step was compiled and has changed the weights: load those of an "
    "earlier epoch. With `on_nonfinite='rollback'` it would be undone. "
)


def nonfinite_step(
    what: str, where: Sequence[str], step: int, batch: int, is_undone: bool
) -> FloatingPointError:
    """The error of a step that met NaN or infinity.

    Args:
        what: Which penalty, loss or input is not finite.
        where: Which tensors hold NaN or infinity, if there is more to say.
        step: Of the optimizer, from one; 0 in `evaluate`.
        batch: Of the epoch, from one.
        is_undone: Whether the weights are those before the step.
    """
    when = f"batch {batch}"
    if step:
        when = f"step {step} of the optimizer, {when} of the epoch"
    places = f": NaN or infinity in {' and in '.join(where)}" if where else ""
    kept = KEPT if is_undone else SPOILT
    kept = kept if step else ""
    return FloatingPointError(
        f"{what} not finite at {when}{places}. {kept}{WAYS_OUT}"
    )


def labels_in_range(error: BaseException) -> None:
    """Raises in plain words if an error of an engine is about labels."""
    found = re.search(
        # TensorFlow's words, and those of PyTorch, which does not say.
        r"label value of (-?\d+) which is outside the valid range of "
        r"(\S+ [^\s.]+)|Target (-?\d+) is out of bounds",
        str(error),
    )
    if found:
        label, classes, other = found.groups()
        raise ValueError(
            f"Expected labels in the range {classes or '[0, classes)'}, one "
            f"for each class that is predicted. Received: a label of "
            f"{label or other}"
        ) from error
