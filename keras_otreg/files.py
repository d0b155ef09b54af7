"""How this package writes files that must never be half there."""

import contextlib
import csv
import errno
import hashlib
import os
import pathlib
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

# Before the checksum at the end of a file.
MARK = b"\nkeras_otreg sha256 "


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
    try:
        yield unfinished
        with unfinished.open("r+b") as file:
            # A full disk may say so only now.
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def written(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file that is to be there as a whole or not at all.

    Args:
        path: The file.
        write: Writes what it is to hold to the path that it is given, such as
            the `save` of a model or the `savefig` of a figure.
    """
    with whole(path) as unfinished:
        write(unfinished)


def write_csv(
    path: pathlib.Path, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a table of values, its titles first, all or nothing."""
    with (
        whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([head, *rows])


@contextlib.contextmanager
def in_its_place(
    filepath: Any, overwrite: bool, suffix: str | None
) -> Iterator[Any]:
    """Lets Keras write a file that is to be there as a whole or not at all.

    Args:
        filepath: What Keras was given.
        overwrite: Whether Keras need not ask.
        suffix: Of the one file that is written; `None` for several.

    Yields:
        Where to write it. What is not one local file, or is to be asked about
        first, is left as it was given.
    """
    # Through a link to what it leads to, as Keras writes.
    path = pathlib.Path(filepath).resolve() if _is_local(filepath) else None
    is_one = suffix is not None and str(filepath).endswith(suffix)
    if path is None or not is_one or (path.exists() and not overwrite):
        yield filepath
    else:
        with whole(path) as unfinished:
            yield unfinished


def make_sure_of_room(path: pathlib.Path, size: int) -> None:
    """Raises the error of a full disk before anything is written.

    HDF5 ends the process if a disk is full half-way through a file.

    Args:
        path: The file to write.
        size: How many bytes it will have, at most.
    """
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def seal(path: pathlib.Path) -> None:
    """Writes a checksum behind the end of a file.

    Only for files whose readers stop where their content ends, like HDF5's.
    """
    seal = MARK + checksum(path)
    with path.open("ab") as file:
        file.write(seal)


def is_damaged(filepath: Any) -> bool:
    """Whether a file does not agree with the checksums that are in it.

    Args:
        filepath: A `.keras` file, which is a zip archive; a file that `seal`
            has sealed; or anything else, of which nothing is known.
    """
    path = pathlib.Path(filepath) if _is_local(filepath) else None
    if path is None or not path.is_file():
        return False
    if path.suffix == ".keras":
        return not _is_whole_archive(path)
    length = len(MARK) + hashlib.sha256().digest_size
    content = max(path.stat().st_size - length, 0)
    with path.open("rb") as file:
        file.seek(content)
        seal = file.read()
    return seal.startswith(MARK) and seal != MARK + checksum(path, content)


def _is_local(filepath):
    """Whether something is the path of a file on this machine."""
    is_path = isinstance(filepath, (str, os.PathLike))
    return is_path and "://" not in str(filepath)


def _is_whole_archive(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def checksum(path: pathlib.Path, size: int | None = None) -> bytes:
    """SHA-256 of a file, or of so many of its first bytes."""
    found = hashlib.sha256()
    size = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while size > 0:
            piece = file.read(min(size, 1 << 20))
            found.update(piece)
            size -= len(piece)
    return found.digest()
