"""The samples of a data set, pass by pass, in memory or in a folder."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.data.batches import BATCHED, DEFAULT_BATCH_SIZE, as_tuple
from keras_otreg.features.batches import batches
from keras_otreg.files import DAMAGE, checksum, unfinished_folder

Columns = list[np.ndarray]
WHY = "the teacher sees each sample once, and what it returns stays with it"
INDEX = "index.json"


class Samples:
    """Passes over the samples of some data.

    A pass gives batches, each as a list of arrays with a row for each sample:
    the leaves of `(x, y, sample_weight)`.
    """

    def __init__(self, data: Any, batch_size: int | None = None):
        self._data = data if isinstance(data, BATCHED) else _rows(data)
        self.batch_size = batch_size
        self.structure = None

    def __iter__(self) -> Iterator[Columns]:
        for batch in self._batches():
            batch = as_tuple(batch)
            columns = _columns(batch)
            if self.structure is None:
                self.structure = keras.tree.map_structure(lambda _: 0, batch)
                self.batch_size = self.batch_size or len(columns[0])
            yield columns

    def _batches(self):
        if isinstance(self._data, BATCHED):
            return batches(self._data)
        size = self.batch_size or DEFAULT_BATCH_SIZE
        length = len(keras.tree.flatten(self._data)[0])
        return (
            keras.tree.map_structure(lambda x, k=k: x[k : k + size], self._data)
            for k in range(0, length, size)
        )


class Census:
    """Number and digest of samples in any order: the sum of their digests."""

    def __init__(self):
        self._count = self._total = 0

    def add(self, columns: Columns) -> None:
        """Add the samples of a batch."""
        for row in zip(*columns, strict=True):
            digest = hashlib.blake2b(digest_size=16)
            for value in row:
                digest.update(f"{value.dtype.name}{value.shape}".encode())
                digest.update(value.tobytes())
            self._count += 1
            self._total += int.from_bytes(digest.digest(), "big")

    def __str__(self) -> str:
        return f"{self._count} samples {self._total % 2**128:032x}"


def take_census(samples: Samples) -> str:
    """Read all samples and return their digest."""
    census = Census()
    for columns in samples:
        census.add(columns)
    return str(census)


def equal_samples(columns: Columns, expected: Any) -> Any:
    """Return the dtypes and shapes of samples; raise unless all have them."""
    found = [(column.dtype.name, column.shape[1:]) for column in columns]
    if expected in (None, found):
        return found
    raise checks.invalid(
        "samples of one shape, to keep them beside one another",
        f"samples of {expected} and of {found}, activations last",
        "Resize or pad them first.",
    )


def _rows(data):
    """Arrays as a tuple, which can be read more than once."""
    rows = as_tuple(data) if isinstance(data, tuple) else (data,)
    # A list could be several inputs, or inputs and labels.
    if isinstance(data, list) or len(rows) not in (1, 2, 3):
        raise checks.invalid(
            "arrays x, (x, y) or (x, y, sample_weight), a batched "
            "`tf.data.Dataset` or a `keras.utils.PyDataset`",
            f"a {type(data).__name__} of {len(data)}",
            "Write several inputs as ([x_1, x_2],) or ([x_1, x_2], y).",
        )
    _columns(rows)
    return rows


def _columns(batch):
    """The arrays of a batch, each with a row for each sample."""
    arrays = list(map(_as_array, keras.tree.flatten(batch)))
    lengths = {x.shape[:1] for x in arrays}
    if len(lengths) == 1 and () not in lengths:
        return arrays
    raise checks.invalid(
        "batches of arrays that have a row for each sample",
        f"shapes {[x.shape for x in arrays]}",
        "Batch the data set with its `batch` method.",
    )


def _as_array(value):
    if keras.ops.is_tensor(value) and hasattr(value, "__array__"):
        value = keras.ops.convert_to_numpy(value)
    is_array = isinstance(value, (np.ndarray, np.generic))
    if is_array and value.dtype.kind not in "OSUM":
        return np.asarray(value)
    received = f"array of {value.dtype}" if is_array else type(value).__name__
    raise checks.invalid(
        "samples of numbers, in dense arrays that can be read more than once",
        f"an object of type {received}",
        "Turn text into numbers, and pad what is ragged, in the data and not "
        "in the model.",
    )


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
        content = {"columns": _write_columns(inner, passing), "key": key()}
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
        _check_digest(_digest(content), digest, INDEX)
        samples: Columns = []
        found = content["key"]
        other = {k: found.get(k) for k in key if found.get(k) != key[k]}
        for k, column in enumerate([] if other else content["columns"]):
            path, (dtype, shape, digest) = _file(folder, k), column
            _check_digest(checksum(path).hex(), digest, path.name)
            samples.append(np.memmap(path, dtype, "r", shape=tuple(shape)))
    except (*DAMAGE, AttributeError) as error:
        raise _no_cache(folder, f"damaged files ({error})") from error
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


class _Damage(ValueError):
    """Error about a file, for the message that names its folder."""


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


def _digest(content):
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write_columns(folder, passing):
    """Write the columns; return dtype, shape and digest of each file."""
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
            for k, content in enumerate(map(np.ndarray.tobytes, columns)):
                files[k].write(content)
                digests[k].update(content)
        checks.some_batches(shapes)
        for file in files:
            _put_on_disk(file)
    return [
        (dtype, (length, *shape), digest.hexdigest())
        for (dtype, shape), digest in zip(shapes, digests, strict=True)
    ]


def _put_on_disk(file):
    # Nothing may be given its name before it is there to stay.
    file.flush()
    os.fsync(file.fileno())


def _file(folder, number):
    return folder / f"column_{number}.bin"
