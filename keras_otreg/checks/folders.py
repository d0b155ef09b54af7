"""Checks of folders of pictures."""

import contextlib
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What reading half a file of JSON, of arrays or of a network ends in.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def some_readable(paths: Sequence[str], folder: pathlib.Path) -> None:
    """Raise if none of the pictures of a folder can be read."""
    if not paths:
        raise ValueError(
            f"Expected pictures in '{folder}'. Received: none that can be read"
        )


@contextlib.contextmanager
def whole_result(path: pathlib.Path) -> Iterator[None]:
    """Within it a result is read; raises if it is damaged."""
    try:
        yield
    except DAMAGE as error:
        stage = path.with_suffix("")
        raise ValueError(
            f"Expected what an earlier run has finished in '{stage}.*'. "
            "Received: files that are damaged or missing. Delete "
            f"'{path}' to have it made again, or give another --out"
        ) from error


@contextlib.contextmanager
def whole_record(path: pathlib.Path) -> Iterator[None]:
    """Within it what a run wrote down is read; raises if it is damaged."""
    try:
        yield
    except DAMAGE as error:
        raise ValueError(
            f"Expected what an earlier run wrote down in '{path}'. Received: a "
            "file that is damaged. Without it nobody knows what the results "
            f"beside it are of: give another --out, or delete '{path.parent}'"
        ) from error


def all_there(known: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises if something is not written down."""
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"Expected {list(names)} to be written down. Received: a record "
            f"without {missing}"
        )


def whole_section(text: str, begin: str, end: str, page: pathlib.Path) -> None:
    """Raises unless a page has both marks of a section once, or neither."""
    counts = text.count(begin), text.count(end)
    if counts not in ((0, 0), (1, 1)) or text.find(begin) > text.find(end):
        raise ValueError(
            f"Expected '{begin}' and, below it, '{end}' in '{page}', once "
            f"each, or neither. Received: {counts[0]} and {counts[1]} of them, "
            "or in another order. Delete what is left of that section and of "
            "its marks, to have it written at the end of the page"
        )


def apart(first: pathlib.Path, second: pathlib.Path) -> None:
    """Raises if two folders of pictures are one."""
    if first.resolve() == second.resolve():
        raise ValueError(
            "Expected target and source to be folders of different classes. "
            f"Received: '{first}' twice"
        )


def outside(out: pathlib.Path, data: pathlib.Path) -> None:
    """Raises if results would lie among the pictures."""
    if out.resolve().is_relative_to(data.resolve()):
        raise ValueError(
            f"Expected --out outside of the pictures in '{data}', where it "
            f"would be taken for a class. Received: '{out}'"
        )


def same_run(
    known: Mapping[str, Any], settings: Mapping[str, Any], folder: pathlib.Path
) -> None:
    """Raises if a folder holds a run with other settings."""
    other = [
        f"{name} is {known.get(name)!r} there, not {value!r}"
        for name, value in settings.items()
        if known.get(name) != value
    ]
    if other:
        raise ValueError(
            f"Expected '{folder}' to be empty, or to hold a run with the same "
            f"settings. Received: a run in which {'; '.join(other)}. Give "
            "another --out, or the settings as they were"
        )


def same_pictures(model: tuple[int, ...], student: tuple[int, ...]) -> None:
    """Raises if two networks take pictures of other sizes or colours."""
    ways_out = []
    if model[:2] != student[:2]:
        ways_out.append("Put a `keras.layers.Resizing` in front of either")
    if model[2] != student[2]:
        ways_out.append(
            f"Build a student of {model[2]} channels, or put "
            "`keras.layers.Concatenate()([x, x, x])`, which makes 3 channels "
            "of a grey picture x, in front of the network that takes 3"
        )
    if ways_out:
        raise ValueError(
            "Expected a student that takes pictures of shape "
            f"{model}, as the model does. Received: one that takes {student}. "
            + ". ".join(ways_out)
        )
