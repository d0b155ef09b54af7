"""How this package writes files that must never be half there."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Lets a file be written under another name, then puts it in its place.

    Args:
        path: The file that is to be there, all or nothing.

    Yields:
        Where to write it, with the same suffix. After an error there, the
        file at `path` is what it was.
    """
    unfinished = path.with_name(f"unfinished-{path.name}")
    yield unfinished
    with unfinished.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)
