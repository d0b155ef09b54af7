"""Files that are written as a whole or not at all."""

import contextlib
import csv
import errno
import glob
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import h5py

from keras_otreg import checks

# Before the checksum at the end of a file.
MARK = b"\nkeras_otreg sha256 "
# The attribute of a file of HDF5 that ends in a checksum.
SEALED = "keras_otreg_sealed"
UNFINISHED = ".unfinished"
# What reading half a file of JSON, arrays, a network or a search ends in.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
DAY = 24 * 60 * 60


@contextlib.contextmanager
def unfinished_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a temporary folder beside `path`; remove one of a killed process."""
    for old in path.parent.glob(f"{glob.escape(path.name)}.*{UNFINISHED}"):
        # Another process may be removing it too.
        with contextlib.suppress(OSError):
            newest = max(x.stat().st_mtime for x in (old, *old.rglob("*")))
            if time.time() - newest > DAY:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f"{path.name}.", suffix=UNFINISHED
    ) as folder:
        yield pathlib.Path(folder)


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield where to write a file, which is put at `path` if all goes well."""
    with unfinished_folder(path) as folder:
        unfinished = folder / path.name
        yield unfinished
        with unfinished.open("r+b") as file:
            # A full disk may say so only now.
            os.fsync(file.fileno())
        os.replace(unfinished, path)


def written(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Write a file, all or nothing, with a function of the path to write to."""
    with whole(path) as unfinished:
        write(unfinished)


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text, all or nothing."""
    written(path, lambda unfinished: unfinished.write_text(text, "utf-8"))


def write_csv(
    path: pathlib.Path, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a table of values, its titles first, all or nothing."""
    with (
        whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([head, *rows])


@contextlib.contextmanager
def in_its_place(
    filepath: Any, overwrite: bool, suffix: str | None
) -> Iterator[Any]:
    """Yield where Keras is to write a file, all or nothing.

    What is not one local file that ends in `suffix` is left as it was given.
    Yields `None` if a file is there that the user wants to keep.
    """
    is_one = suffix is not None and str(filepath).endswith(suffix)
    if not is_one or not _is_local(filepath):
        yield filepath
    elif overwrite or not os.path.exists(filepath) or _may_replace(filepath):
        # Through a link to what it leads to, as Keras writes.
        with whole(pathlib.Path(filepath).resolve()) as unfinished:
            yield unfinished
    else:
        yield None


def _may_replace(path):
    """Ask in the words of Keras, which would ask about another path."""
    answer = ""
    while answer not in ("y", "n"):
        question = f"[WARNING] {path} already exists - overwrite? [y/n]"
        answer = input(question).strip().lower()
    return answer == "y"


def make_sure_of_room(path: pathlib.Path, size: int) -> None:
    """Raise the error of a full disk before a file of some bytes is written."""
    # HDF5 ends the process if a disk is full half-way through a file.
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def seal(path: pathlib.Path) -> None:
    """Write a checksum behind the end of a file of HDF5."""
    with h5py.File(path, "r+") as file:
        # Without a checksum, such a file is cut off.
        file.attrs[SEALED] = True
    end = MARK + checksum(path)
    with path.open("ab") as file:
        file.write(end)


def check_undamaged(filepath: Any) -> None:
    """Raise an `OSError` if a file does not agree with its checksums."""
    if is_damaged(filepath):
        # Of the kind after which `BackupAndRestore` tries its second file.
        raise OSError(
            f"Expected '{filepath}' to hold what was written to it. Received: "
            "a file that does not agree with its checksum, because it is cut "
            "off or was changed. Use an earlier file."
        )


def is_damaged(filepath: Any) -> bool:
    """Return whether a file disagrees with its checksums, zip's or `seal`'s."""
    path = pathlib.Path(filepath) if _is_local(filepath) else None
    if path is None or not path.is_file():
        return False
    if path.suffix == ".keras":
        with path.open("rb") as file:
            try:
                return zipfile.ZipFile(file).testzip() is not None
            except Exception:
                # A wrong bit in a header may break any step of `zipfile`.
                return True
    length = len(MARK) + hashlib.sha256().digest_size
    content = max(path.stat().st_size - length, 0)
    with path.open("rb") as file:
        file.seek(content)
        end = file.read()
    if end.startswith(MARK):
        return end != MARK + checksum(path, content)
    # Without a checksum, a file that was sealed lacks its end.
    try:
        with h5py.File(path) as file:
            return SEALED in file.attrs
    except OSError:
        return h5py.is_hdf5(path)


def _is_local(filepath):
    """Return whether something is the path of a file on this machine."""
    is_path = isinstance(filepath, (str, os.PathLike))
    return is_path and "://" not in str(filepath)


def checksum(path: pathlib.Path, size: int | None = None) -> bytes:
    """Return the SHA-256 of a file, or of so many of its first bytes."""
    found = hashlib.sha256()
    size = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while size > 0:
            piece = file.read(min(size, 1 << 20))
            found.update(piece)
            size -= len(piece)
    return found.digest()


@contextlib.contextmanager
def undamaged(path: pathlib.Path, way_out: str) -> Iterator[None]:
    """Context in which damaged files of a run raise an error."""
    try:
        yield
    except DAMAGE as error:
        raise checks.invalid(
            f"'{path}' to be as an earlier run wrote it",
            f"files that are damaged or missing ({error!r})",
            way_out,
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
        raise checks.invalid(
            f"'{folder}' to be empty, or to hold a run with the same settings",
            f"a run in which {'; '.join(other)}",
            "Give another --out, or the settings as they were",
        )
