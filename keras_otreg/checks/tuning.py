"""Checks of what a search is told."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_otreg.checks.folders import DAMAGE
from keras_otreg.checks.values import number, one_of, positive

DIRECTIONS = ("max", "min")


def interval(value: Any, name: str) -> tuple[float, float]:
    """Returns the ends of a range of positive numbers; equal for a number."""
    if not isinstance(value, (tuple, list)):
        value = positive(value, name)
        return value, value
    if len(value) == 2:
        low = positive(value[0], f"{name}[0]")
        high = number(
            value[1],
            f"{name}[1]",
            expected=f"a finite number of at least {low:g}, the lower end",
            valid=lambda x: low <= x < float("inf"),
        )
        return low, high
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected a number above 0, or "
        f"a pair of them, (lowest, highest). Received: {name}={value!r}"
    )


def direction(value: Any, name: str) -> str:
    """Returns in which direction a metric improves, if that is known."""
    if value is not None:
        return one_of(value, DIRECTIONS, "direction")
    raise ValueError(
        "Expected the name of a metric of Keras, a loss, or what this package "
        f"logs. Received: {name!r}, of which it is not known whether more or "
        "less of it is better. Pass `direction='max'` or `direction='min'`."
    )


def untrained(shared: list[str]) -> None:
    """Raises if a new student holds weights that an earlier trial trained."""
    if shared:
        raise ValueError(
            "Expected `build_student` to return a model with weights of its "
            "own, or a trial would go on from where the last one ended. "
            f"Received: a model that shares {len(shared)} trainable weights "
            f"with the last one, such as {shared[:3]}. Build or load all of "
            "it inside `build_student`, or copy what is shared with "
            "`keras.models.clone_model` and `set_weights`."
        )


def compiled(student: Any) -> None:
    """Raises if it is not known how to compile the model of a trial."""
    if not student.compiled:
        raise ValueError(
            "Expected `compile=`, a function of the hyperparameters and the "
            "model that compiles it, or a `build_student` that returns a "
            f"compiled model. Received: model '{student.name}', which is not "
            "compiled, and no `compile=`."
        )


@contextlib.contextmanager
def whole_search(folder: pathlib.Path) -> Iterator[None]:
    """Within it an earlier search is read; raises if it is damaged."""
    try:
        (folder / "oracle.json").stat()
        yield
    except (*DAMAGE, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"Expected '{folder}' to be empty, or to hold an earlier search. "
            f"Received: a file that is damaged or missing ({error!r}). Delete "
            "the folder to search anew, or give another one"
        ) from error
