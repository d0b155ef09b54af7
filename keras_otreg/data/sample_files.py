"""Samples in memory, or in a folder: many rows, read in any order."""

import contextlib
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.data.samples import Columns

INDEX = "index.json"


def in_memory(passing: Iterable[Columns]) -> Columns:
    """Joins the batches of a pass into one array for each column."""
    kept, shapes = [], None
    for columns in passing:
        shapes = checks.equal_samples(_shapes(columns), shapes)
        kept.append(columns)
    checks.some_batches(kept)
    return [np.concatenate(column) for column in zip(*kept, strict=True)]


def is_written(folder: pathlib.Path) -> bool:
    """Whether a folder holds samples; raises if it holds something else."""
    if (folder / INDEX).is_file():
        return True
    is_free = not folder.exists() or (
        folder.is_dir() and not any(folder.iterdir())
    )
    problem = None if is_free else f"no '{INDEX}' in what is there"
    checks.whole_cache(folder, problem)
    return False


def write(
    folder: pathlib.Path, passing: Iterable[Columns], key: Callable[[], Any]
) -> None:
    """Writes the samples of a pass into a folder, all of them or none.

    They are written under another name, which the folder loses at the end.

    Args:
        folder: A folder that is absent or empty.
        passing: Batches of columns.
        key: Called after the last batch: what the samples were made of.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f"{folder.name}.", suffix=".unfinished"
    )
    with unfinished as outer:
        inner = pathlib.Path(outer) / folder.name
        inner.mkdir()
        index = {"columns": _write_columns(inner, passing), "key": key()}
        (inner / INDEX).write_text(json.dumps(index))
        try:
            inner.rename(folder)
        except OSError:
            # Another process was faster: its samples are checked like any.
            if not is_written(folder):
                raise


def read(folder: pathlib.Path, key: dict[str, Any]) -> Columns:
    """Opens what `write` has written, without reading it into memory.

    Raises:
        ValueError: If the samples were made of something else than the key
            says, or files are damaged.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        found = index["key"]
        described = [(np.dtype(d), tuple(s)) for d, s in index["columns"]]
        sizes = [_file(folder, k).stat().st_size for k in range(len(described))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        checks.whole_cache(folder, f"damaged files ({error})")
    checks.same_cache(folder, found, key)
    expected = [int(np.prod(s)) * d.itemsize for d, s in described]
    damaged = sizes != expected
    checks.whole_cache(folder, "files of wrong sizes" if damaged else None)
    return [
        np.memmap(_file(folder, k), dtype, mode="r", shape=shape)
        for k, (dtype, shape) in enumerate(described)
    ]


def _write_columns(folder, passing):
    """Writes the columns, a file each; returns their dtypes and shapes."""
    shapes, length = None, 0
    with contextlib.ExitStack() as stack:
        for columns in passing:
            if shapes is None:
                files = [
                    stack.enter_context(_file(folder, k).open("wb"))
                    for k in range(len(columns))
                ]
            shapes = checks.equal_samples(_shapes(columns), shapes)
            length += len(columns[0])
            for file, column in zip(files, columns, strict=True):
                file.write(column.tobytes())
    checks.some_batches(shapes)
    return [(dtype, (length, *shape)) for dtype, shape in shapes]


def _shapes(columns):
    return [(column.dtype.name, column.shape[1:]) for column in columns]


def _file(folder, number):
    return folder / f"column_{number}.bin"
