"""Samples in columns, in memory or in a folder."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.files import DAMAGE, checksum, unfinished_folder

Columns = list[np.ndarray]
INDEX = "index.json"


def _of_one_shape(passing):
    """Go through the batches of a pass; raise unless all have one shape."""
    expected = None
    for columns in passing:
        found = [(column.dtype.name, column.shape[1:]) for column in columns]
        if expected not in (None, found):
            raise checks.invalid(
                "samples of one shape, to keep them beside one another",
                f"samples of {expected} and of {found}, activations last",
                "Resize or pad them first.",
            )
        expected = found
        yield columns
    checks.some_batches(expected)


def in_memory(passing: Iterable[Columns]) -> Columns:
    """Join the batches of a pass into one array for each column."""
    joined = zip(*_of_one_shape(passing), strict=True)
    return [np.concatenate(column) for column in joined]


def is_written(folder: pathlib.Path) -> bool:
    """Return whether a folder holds samples; raise if other files."""
    if (folder / INDEX).is_file():
        return True
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise _no_cache(folder, f"no '{INDEX}' in what is there")
    return False


def write(
    folder: pathlib.Path, passing: Iterable[Columns], key: Callable[[], Any]
) -> None:
    """Write the samples of a pass into a folder, all of them or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(folder) as outer:
        inner = outer / folder.name
        if folder.exists():
            # Whether it can be replaced is to be known before the pass.
            inner.mkdir()
            _rename(inner, folder)
        inner.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            files: list[Any] = []
            length = 0
            for columns in _of_one_shape(passing):
                for k in range(len(files), len(columns)):
                    file = _file(inner, k).open("wb")
                    files.append(stack.enter_context(file))
                for file, column in zip(files, columns, strict=True):
                    file.write(column.tobytes())
                length += len(columns[0])
            for file in files:
                _put_on_disk(file)
        shapes = [(x.dtype.name, (length, *x.shape[1:])) for x in columns]
        digests = [checksum(_file(inner, k)).hex() for k in range(len(files))]
        known = [(*x, y) for x, y in zip(shapes, digests, strict=True)]
        content = {"columns": known, "key": key()}
        with (inner / INDEX).open("w", encoding="utf-8") as file:
            json.dump({**content, "digest": _digest(content)}, file)
            _put_on_disk(file)
        _rename(inner, folder)


def _rename(inner, folder):
    try:
        inner.rename(folder)
    except OSError:
        # Another process was faster: its samples are checked like any.
        if not is_written(folder):
            raise


def read(folder: pathlib.Path, key: dict[str, Any]) -> Columns:
    """Map the arrays that `write` has written, after checking every byte."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        digest = content.pop("digest", None)
        damaged = [INDEX] if _digest(content) != digest else []
        found = content["key"]
        other = {k: found.get(k) for k in key if found.get(k) != key[k]}
        samples: Columns = []
        for k, column in enumerate([] if other else content["columns"]):
            path, (dtype, shape, digest) = _file(folder, k), column
            if checksum(path).hex() == digest:
                samples.append(np.memmap(path, dtype, "r", shape=tuple(shape)))
            else:
                damaged.append(path.name)
    except DAMAGE as error:
        raise _no_cache(folder, f"damaged files ({error})") from error
    if damaged:
        problem = f"damaged files ('{damaged[0]}' is not what was written)"
        raise _no_cache(folder, problem)
    if other:
        raise checks.invalid(
            f"a cache in '{folder}' that was made with the same teacher, "
            f"layers and samples: { {k: key[k] for k in other} }",
            f"one that was made with others: {other}",
            "Delete the folder to have it made anew, or choose another. (If "
            "it is always the samples that differ, they are augmented at "
            "random.)",
        )
    return samples


def _no_cache(folder, problem):
    return checks.invalid(
        f"'{folder}' to be absent, empty or a cache that `with_teacher` has "
        "written",
        problem,
        "Delete the folder to have it made anew, or choose another.",
    )


def _digest(content):
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _put_on_disk(file):
    # Nothing may be given its name before it is there to stay.
    file.flush()
    os.fsync(file.fileno())


def _file(folder, number):
    return folder / f"column_{number}.bin"
