"""Batches with cached activations of the teacher."""

import collections
import hashlib
import os
import pathlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import BATCHED, as_tuple, batches_of
from keras_otreg.data.samples import (
    Columns,
    in_memory,
    is_written,
    read,
    write,
)
from keras_otreg.features.batches import batches as all_batches
from keras_otreg.models import TransferModel, parts
from keras_otreg.models.teacher import Teacher

# Of data sets; those that are made of them hold them, and so do iterators.
ATTRIBUTE = "keras_otreg_columns"
WHY = "the teacher sees each sample once, and what it returns stays with it"


def with_teacher(
    data: Any,
    model: TransferModel,
    *,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    cache: str | pathlib.Path | None = None,
) -> tf.data.Dataset:
    """Run the teacher once and cache its activations with the samples.

    `fit` and `evaluate` then leave the teacher out. Samples and activations
    are kept side by side, in memory or on disk, and shuffled together. Maps
    are kept as the layer returns them: at 16 x 16 x 512, float32, a sample
    takes 0.5 MiB.

    The data are read twice. Two passes may differ in the order of the samples,
    and in nothing else: random augmentation is refused.

    Args:
        data: Arrays `x`, `(x, y)` or `(x, y, sample_weight)`; a
            `keras.utils.PyDataset` or a `tf.data.Dataset` of such batches,
            which ends.
        model: The `TransferModel` to be trained, or another with the same
            teacher and layers that penalties read. `fit` and `evaluate` refuse
            the result where the teacher has other weights or another
            precision, unless it was mapped.
        batch_size: If not given, that of the data set, or 32 for arrays.
        shuffle: Whether each epoch has a new order. Use `False` for
            validation data.
        seed: Seed of the orders.
        cache: A folder for samples and activations, to be read from there,
            now and in later runs. One that was made with another teacher,
            other layers or other samples is refused, never overwritten.

    Returns:
        A `tf.data.Dataset` for `fit`, `evaluate`, either part of
        `with_unlabelled`, or the target of `paired`.

    Raises:
        ValueError: If the model has no penalties, two passes over the data
            differ, the teacher is random, the data have no end, samples have
            unequal shapes, or the cache is damaged or of something else.

    Example:
        ```python
        train = otreg.data.with_teacher((x, y), model, batch_size=32)
        model.fit(train, epochs=20, validation_data=(x_valid, y_valid))
        ```
    """
    checks.instance_of(
        model, TransferModel, "model", "a `keras_otreg.TransferModel`"
    )
    if not model.frozen.paths:
        raise checks.invalid(
            "a model with penalties, because they alone read the activations "
            "of its teacher",
            f"'{model.name}' without a `Penalty`",
            "Pass the data to `fit` as they are.",
        )
    checks.flag(shuffle, "shuffle")
    seed = checks.count(seed, "seed", least=0)
    if batch_size is not None:
        batch_size = checks.count(batch_size, "batch_size")
    if cache is not None:
        expected = "the path of a folder on this machine, or None"
        checks.instance_of(cache, (str, os.PathLike), "cache", expected)
        checks.require("://" not in str(cache), cache, "cache", expected)
        cache = pathlib.Path(cache).resolve()
    cached = _CachedSamples(model, data, batch_size)
    columns = cached.columns(cache)
    size, order = cached.batch_size, seed if shuffle else None
    batches = batches_of_rows(columns, size, order, cached.packed)
    cached.teacher.mark(batches)
    return batches


class _CachedSamples:
    """The samples of some data, each with cached activations of a teacher.

    After a pass over them, `census` tells the number of the samples and the
    sum of their digests, which is the same in any order.
    """

    def __init__(self, model, data, batch_size):
        if isinstance(data, list):
            raise checks.invalid(
                "arrays x, (x, y) or (x, y, sample_weight), a batched "
                "`tf.data.Dataset` or a `keras.utils.PyDataset`",
                f"a list of {len(data)}",
                "Write several inputs as ([x_1, x_2],) or ([x_1, x_2], y).",
            )
        sizes = {}
        if not isinstance(data, BATCHED):
            data, sizes = as_tuple(data), {"batch_size": batch_size}
        self._batches = batches_of(data, "labelled", sizes, labels=False)
        self._structure = as_tuple(self._batches.element_spec)
        for spec in keras.tree.flatten(self._structure):
            if not isinstance(spec, tf.TensorSpec) or spec.dtype == tf.string:
                raise checks.invalid(
                    "samples of numbers, in dense arrays",
                    spec,
                    "Turn text into numbers, and pad what is ragged, in the "
                    "data and not in the model.",
                )
        _check_plain(self._structure[0], model)
        self.batch_size = batch_size
        self.census = ""
        self.teacher = Teacher(model.teacher, model.frozen.paths)
        self.paths = self.teacher.paths
        self._network = _Activations(self.teacher)

    def columns(self, folder: Any) -> Columns:
        """Arrays of the samples and activations, in memory or in a folder."""
        if folder is None:
            return in_memory(self._pass())
        if not is_written(folder):
            write(folder, self._pass(), self._key)
            return read(folder, self._key())
        self._count()
        columns = read(folder, self._key())
        self._check_teacher(columns)
        return columns

    def packed(self, columns: list[Any]) -> tuple[Any, ...]:
        """A batch for `fit`, of its columns."""
        end = len(columns) - len(self.paths)
        x, *others = self._unpacked(columns[:end])
        cached = dict(zip(self.paths, columns[end:], strict=True))
        return (parts.with_cached(x, cached), *others)

    def _read(self):
        """The columns of each batch: the leaves of `(x, y, sample_weight)`."""
        count = total = 0
        for batch in all_batches(self._batches):
            leaves = keras.tree.flatten(as_tuple(batch))
            columns = [x.numpy() for x in leaves]
            lengths = {np.shape(x)[:1] for x in columns}
            if len(lengths) > 1 or () in lengths:
                raise checks.invalid(
                    "batches of arrays that have a row for each sample",
                    f"shapes {[np.shape(x) for x in columns]}",
                    "Batch the data set with its `batch` method.",
                )
            self.batch_size = self.batch_size or len(columns[0])
            count += len(columns[0])
            total += sum(map(_number_of, zip(*columns, strict=True)))
            yield columns
        self.census = f"{count} samples {total % 2**128:032x}"

    def _count(self):
        """Read all samples for their census."""
        collections.deque(self._read(), maxlen=0)
        return self.census

    def _pass(self) -> Iterator[Columns]:
        """All samples with cached activations; checked at the end."""
        for number, columns in enumerate(self._read()):
            x = self._unpacked(columns)[0]
            found = self._network.on_batch(x)
            if number == 0:
                path = differing(found, self._network.on_batch(x))
                if path is not None:
                    raise checks.invalid(
                        f"a teacher that returns the same at '{path}' each "
                        f"time, because {WHY}",
                        "two results for the same samples, as of a layer that "
                        "is random in inference, too",
                        "Take it out of the teacher, or train without "
                        "`with_teacher`.",
                    )
            yield [*columns, *(found[path] for path in self.paths)]
        first, second = self.census, self._count()
        if first != second:
            raise checks.invalid(
                "data that give the same samples in each pass, in any order, "
                f"because {WHY}",
                f"two passes that differ, {first} and {second}",
                "Leave out random augmentation, and a `shuffle` before `take`, "
                "or train without `with_teacher`.",
            )

    def _key(self):
        """Key of the cache: everything that the activations depend on."""
        return {
            "teacher": self.teacher.fingerprint(),
            "precision": self.teacher.precision(),
            "layers": self.paths,
            "samples": self.census,
        }

    def _check_teacher(self, columns):
        """Run the teacher on the first samples: its layers may be others."""
        size = self.batch_size
        (stored, *_) = self.packed([column[:size] for column in columns])
        found = self._network.on_batch(stored[parts.INPUTS])
        # Low precision rounds differently on another device.
        path = differing(stored[parts.TEACHER], found, 0.02)
        if path is not None:
            raise checks.invalid(
                f"a teacher that returns at '{path}' what the cache holds",
                "another result from the same weights, so its layers do "
                "something else with them",
                "Delete the cache to have it made anew, or choose another "
                "folder.",
            )

    def _unpacked(self, columns):
        return keras.tree.pack_sequence_as(self._structure, columns)


def _number_of(row):
    """The digest of a sample as a number."""
    digest = hashlib.blake2b(digest_size=16)
    for value in row:
        digest.update(f"{value.dtype.name}{value.shape}".encode())
        digest.update(value.tobytes())
    return int.from_bytes(digest.digest(), "big")


class _Activations(keras.Model):
    """Model of the teacher's activations, for Keras to compile."""

    def __init__(self, teacher):
        policy = teacher.model.dtype_policy
        super().__init__(name="activations", dtype=policy, autocast=False)
        self._frozen = teacher
        self.supports_jit = teacher.supports_jit
        self.built = True

    def call(self, inputs):
        return self._frozen.activations(parts.Parts(inputs))

    def on_batch(self, x):
        """Activations of a batch, by path."""
        found = self.predict_on_batch(x)
        # Within the scope of a strategy each replica runs the whole batch.
        size = len(keras.tree.flatten(x)[0])
        return {path: rows[:size] for path, rows in found.items()}


def _check_plain(x, model):
    found = parts.split(x)
    is_pair = parts.is_pair(x, parts.num_inputs(model.student))
    is_joined = found.unlabelled is not None or found.cached is not None
    if is_pair or is_joined:
        raise checks.invalid(
            f"batches of the target task as they are, because {WHY}",
            "batches that were joined with unlabelled or source samples, or "
            "carry activations already",
            "Begin with `with_teacher`: with_unlabelled(with_teacher(labelled, "
            "model), with_teacher(unlabelled, model)), "
            "paired(with_teacher(target, model), source).",
        )


def differing(
    first: dict[str, Any], second: dict[str, Any], tolerance: float = 1e-3
) -> str | None:
    """Return the first layer whose activations differ by more than rounding."""
    for path, value in first.items():
        one, other = (np.asarray(x, "float32") for x in (value, second[path]))
        if one.shape != other.shape:
            return path
        # Sums in another order round differently, on a GPU above all.
        is_low = np.dtype(value.dtype).itemsize < 4
        near = (0.02 if is_low else tolerance) * np.linalg.norm(one)
        is_near = np.linalg.norm(one - other) <= near
        if not is_near and not np.array_equal(one, other, equal_nan=True):
            return path
    return None


def batches_of_rows(
    columns: Columns,
    batch_size: int,
    seed: int | None,
    pack: Callable[[list[Any]], Any],
) -> tf.data.Dataset:
    """Batches of the rows of arrays, which live as long as the batches."""
    order = tf.data.Dataset.range(len(columns[0]))
    if seed is not None:
        order = order.shuffle(len(columns[0]), seed=seed)
    # TensorFlow keeps a function of Python, and all that it holds, for good.
    held = [weakref.ref(column) for column in columns]
    specs = [(column.dtype, column.shape[1:]) for column in columns]

    def take(rows):
        found = [column() for column in held]
        if any(column is None for column in found):
            # The one error that TensorFlow keeps quiet about where nobody
            # reads on: an iterator that is being dropped still fetches ahead.
            raise StopIteration(
                "Expected the data set of `with_teacher`, which holds the "
                "samples, or one that was made of it, to be kept while it is "
                "read. Received: what was made of it within a `tf.function`, "
                "after it is gone. Keep the data set in a variable."
            )
        return [np.asarray(column[rows]) for column in found]

    def packed(rows):
        found = tf.numpy_function(take, [rows], [dtype for dtype, _ in specs])
        for tensor, (_, shape) in zip(found, specs, strict=True):
            tensor.set_shape((None, *shape))
        return pack(found)

    batches = order.batch(batch_size)
    batches = batches.map(packed, num_parallel_calls=tf.data.AUTOTUNE)
    batches = batches.prefetch(tf.data.AUTOTUNE)
    setattr(batches, ATTRIBUTE, tuple(columns))
    return batches
