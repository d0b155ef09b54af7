"""Saving and loading a model without the teacher that it pulls towards."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras


class Apart(NamedTuple):
    """That teachers are not in the file at hand.

    Attributes:
        given: The teacher of a model that is loaded, or `None`.
    """

    given: keras.Model | None


_apart: contextvars.ContextVar[Apart | None] = contextvars.ContextVar(
    "apart", default=None
)


@contextlib.contextmanager
def teacher_apart(given: keras.Model | None = None) -> Iterator[None]:
    """What is saved or loaded inside is without its teacher.

    Keras has no argument for it: it calls the methods of a model, and these
    look here.

    Args:
        given: The teacher for a model that is loaded inside.
    """
    token = _apart.set(Apart(given))
    try:
        yield
    finally:
        _apart.reset(token)


def is_apart() -> bool:
    """Whether teachers are not in the file at hand."""
    return _apart.get() is not None


def given_teacher() -> keras.Model | None:
    """The teacher for a model that is loaded, if one was given."""
    found = _apart.get()
    return None if found is None else found.given


def left_out(fingerprint: str) -> dict[str, str]:
    """Stands for a teacher in the config of a model."""
    return {"fingerprint": fingerprint}


def fingerprint_in(config: Any) -> str | None:
    """The fingerprint of a teacher that was left out of a config."""
    is_left_out = isinstance(config, dict) and set(config) == {"fingerprint"}
    return config["fingerprint"] if is_left_out else None
