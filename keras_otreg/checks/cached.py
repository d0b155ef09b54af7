"""Checks of folders with samples and what a teacher returned for them."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_otreg.checks.folders import DAMAGE


def cache_folder(value: Any, name: str) -> pathlib.Path:
    """Returns the path of a folder on this machine, wherever links lead."""
    problem = f"of type {type(value).__name__}"
    if isinstance(value, (str, os.PathLike)):
        try:
            if not re.match(r"[A-Za-z][\w+.-]*://", str(value)):
                return pathlib.Path(value).resolve()
            problem = "on another"
        # Links can lead in a circle, and a name can be none.
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            problem = str(error)
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected the path of a folder "
        f"on this machine, or None. Received: {name}={value!r} ({problem})"
    )


@contextlib.contextmanager
def writable_cache(folder: pathlib.Path) -> Iterator[None]:
    """Within it a cache is begun; raises if its folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"Expected '{folder}' to be a folder that can be written, and "
            f"replaced if it is empty. Received: {error}. Choose another, such "
            "as one within it."
        ) from error


def same_cache(
    folder: pathlib.Path, found: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Raises unless a cache was made of the same things as are asked for."""
    differing = [k for k in expected if found.get(k) != expected[k]]
    if differing:
        received = {k: found.get(k) for k in differing}
        wanted = {k: expected[k] for k in differing}
        raise ValueError(
            f"Expected a cache in '{folder}' that was made with the same "
            f"teacher, layers and samples: {wanted}. Received: one that was "
            f"made with others: {received}. Delete the folder to have it made "
            "anew, or choose another. (If it is always the samples that "
            "differ, they are augmented at random.)"
        )


def whole_cache(folder: pathlib.Path, problem: str | None) -> None:
    """Raises if a folder holds something else than a complete cache."""
    if problem:
        raise ValueError(
            f"Expected '{folder}' to be absent, empty or a cache that "
            f"`with_teacher` has written. Received: {problem}. Delete the "
            "folder to have it made anew, or choose another."
        )


class _Damage(ValueError):
    """What is wrong with a file, for the message that names its folder."""


def as_written(found: str, expected: str | None, name: str) -> None:
    """Raises unless a file of a cache has the digest that was noted."""
    if expected is None:
        raise _Damage(f"no digest in '{name}', as of an older version")
    if found != expected:
        raise _Damage(f"'{name}' is not what was written")


@contextlib.contextmanager
def undamaged_cache(folder: pathlib.Path) -> Iterator[None]:
    """Within it the files of a cache are read; raises if they are damaged."""
    try:
        yield
    except (*DAMAGE, AttributeError) as error:
        whole_cache(folder, f"damaged files ({error})")


def same_activations(
    stored: dict[str, np.ndarray], found: dict[str, np.ndarray]
) -> None:
    """Raises unless a teacher still returns what it is known to return."""
    for path, expected in stored.items():
        expected, received = (
            np.asarray(x, "float32") for x in (expected, found[path])
        )
        fits = expected.shape == received.shape
        error = np.linalg.norm(expected - received) if fits else np.inf
        # Low precision rounds differently on another device.
        if not error <= 0.02 * np.linalg.norm(expected):
            raise ValueError(
                f"Expected a teacher that returns at '{path}' what the cache "
                "holds. Received: another result from the same weights, so "
                "its layers do something else with them. Delete the cache to "
                "have it made anew, or choose another folder."
            )
