"""Checks of what an earlier run has left in a folder."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from keras_otreg.checks.values import invalid
from keras_otreg.files import DAMAGE


@contextlib.contextmanager
def undamaged(path: pathlib.Path, way_out: str) -> Iterator[None]:
    """Context in which damaged files of a run raise an error."""
    try:
        yield
    except DAMAGE as error:
        raise invalid(
            f"'{path}' to be as an earlier run wrote it",
            f"files that are damaged or missing ({error!r})",
            f"{way_out}, or give another --out",
        ) from error


def same_run(
    known: Mapping[str, Any], settings: Mapping[str, Any], folder: pathlib.Path
) -> None:
    """Raise if a folder holds a run with other settings."""
    other = [
        f"{name} is {known.get(name)!r} there, not {value!r}"
        for name, value in settings.items()
        if known.get(name) != value
    ]
    if other:
        raise invalid(
            f"'{folder}' to be empty, or to hold a run with the same settings",
            f"a run in which {'; '.join(other)}",
            "Give another --out, or the settings as they were",
        )
