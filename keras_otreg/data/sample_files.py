"""Samples in memory, or in a folder: many rows, read in any order."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from keras_otreg import checks
from keras_otreg.data.samples import Columns, equal_samples
from keras_otreg.files import DAMAGE, checksum, unfinished_folder

INDEX = "index.json"


class _Column(NamedTuple):
    """A file of samples, as the index describes it."""

    dtype: str
    shape: tuple[int, ...]
    digest: str

    def opened(self, path):
        """Return the samples, mapped from the file; raise if it is damaged."""
        _check_digest(checksum(path).hex(), self.digest, path.name)
        return np.memmap(path, self.dtype, mode="r", shape=tuple(self.shape))


def in_memory(passing: Iterable[Columns]) -> Columns:
    """Join the batches of a pass into one array for each column."""
    kept, shapes = [], None
    for columns in passing:
        shapes = equal_samples(columns, shapes)
        kept.append(columns)
    checks.some_batches(kept)
    return [np.concatenate(column) for column in zip(*kept, strict=True)]


def is_written(folder: pathlib.Path) -> bool:
    """Return whether a folder holds samples; raise if other files."""
    if (folder / INDEX).is_file():
        return True
    is_free = not folder.exists() or (
        folder.is_dir() and not any(folder.iterdir())
    )
    if not is_free:
        raise _no_cache(folder, f"no '{INDEX}' in what is there")
    return False


def write(
    folder: pathlib.Path, passing: Iterable[Columns], key: Callable[[], Any]
) -> None:
    """Write the samples of a pass into a folder, all of them or none.

    Args:
        folder: A folder that is absent or empty.
        passing: Batches of columns.
        key: Called after the last batch: what the samples were made of.
    """
    with contextlib.ExitStack() as stack:
        folder.parent.mkdir(parents=True, exist_ok=True)
        outer = stack.enter_context(unfinished_folder(folder))
        inner = outer / folder.name
        if folder.exists():
            # Whether it can be replaced is to be known before the pass.
            inner.mkdir()
            _rename(inner, folder)
        inner.mkdir(exist_ok=True)
        columns = _write_columns(inner, passing)
        _write_index(inner / INDEX, columns, key())
        _rename(inner, folder)


def _rename(inner, folder):
    try:
        inner.rename(folder)
    except OSError:
        # Another process was faster: its samples are checked like any.
        if not is_written(folder):
            raise


def read(folder: pathlib.Path, key: dict[str, Any]) -> Columns:
    """Open what `write` has written, after checking every byte of it.

    The arrays that are returned are read from disk as they are used.

    Raises:
        ValueError: If the samples were made of something else than the key
            says, or files are damaged.
    """
    with _undamaged(folder):
        columns, found = _read_index(folder / INDEX)
        other = {k: found.get(k) for k in key if found.get(k) != key[k]}
    if other:
        raise checks.invalid(
            f"a cache in '{folder}' that was made with the same teacher, "
            f"layers and samples: { {k: key[k] for k in other} }",
            f"one that was made with others: {other}",
            "Delete the folder to have it made anew, or choose another. (If "
            "it is always the samples that differ, they are augmented at "
            "random.)",
        )
    with _undamaged(folder):
        return [
            column.opened(_file(folder, k)) for k, column in enumerate(columns)
        ]


@contextlib.contextmanager
def _undamaged(folder):
    try:
        yield
    except (*DAMAGE, AttributeError) as error:
        raise _no_cache(folder, f"damaged files ({error})") from error


class _Damage(ValueError):
    """What is wrong with a file, for the message that names its folder."""


def _no_cache(folder, problem):
    return checks.invalid(
        f"'{folder}' to be absent, empty or a cache that `with_teacher` has "
        "written",
        problem,
        "Delete the folder to have it made anew, or choose another.",
    )


def _check_digest(found, expected, name):
    if found != expected:
        raise _Damage(f"'{name}' is not what was written")


def _write_index(path, columns, key):
    content = {"columns": columns, "key": key}
    with path.open("w", encoding="utf-8") as file:
        json.dump({**content, "digest": _digest(content)}, file)
        _put_on_disk(file)


def _read_index(path):
    """Return the columns of the index, and the key of their samples."""
    content = json.loads(path.read_text(encoding="utf-8"))
    digest = content.pop("digest", None)
    _check_digest(_digest(content), digest, path.name)
    return [_Column(*x) for x in content["columns"]], content["key"]


def _digest(content):
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write_columns(folder, passing):
    """Write the columns, a file each; return their entries of the index."""
    shapes, length = None, 0
    with contextlib.ExitStack() as stack:
        for columns in passing:
            if shapes is None:
                files = [
                    stack.enter_context(_file(folder, k).open("wb"))
                    for k in range(len(columns))
                ]
                digests = [hashlib.sha256() for _ in files]
            shapes = equal_samples(columns, shapes)
            length += len(columns[0])
            for file, digest, column in zip(
                files, digests, columns, strict=True
            ):
                content = column.tobytes()
                file.write(content)
                digest.update(content)
        checks.some_batches(shapes)
        for file in files:
            _put_on_disk(file)
    return [
        _Column(dtype, (length, *shape), digest.hexdigest())
        for (dtype, shape), digest in zip(shapes, digests, strict=True)
    ]


def _put_on_disk(file):
    # Nothing may be given its name before it is there to stay.
    file.flush()
    os.fsync(file.fileno())


def _file(folder, number):
    return folder / f"column_{number}.bin"
