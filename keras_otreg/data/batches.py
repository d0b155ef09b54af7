"""Batches of any data that `fit` takes, of one data set or two."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks

DEFAULT_BATCH_SIZE = 32
# Data of these kinds come in batches already.
BATCHED = (tf.data.Dataset, keras.utils.PyDataset)


def finite_batches(
    data: Any, batch_size: int | None, seed: int, name: str
) -> tf.data.Dataset:
    """One pass over some labelled data."""
    if isinstance(data, BATCHED):
        batches = _taken(data, batch_size, seed, name)
    else:
        size = size_of(batch_size, DEFAULT_BATCH_SIZE, "batch_size")
        batches = _rows(data, seed, name).batch(size)
    check_labelled(batches.element_spec, name)
    return batches


def endless_batches(
    data: Any, batch_size: int | None, default: int | None, seed: int, name: str
) -> tf.data.Dataset:
    """Passes over some data without end, each in a new order."""
    if isinstance(data, BATCHED):
        return _taken(data, batch_size, seed, name).repeat()
    size = size_of(default, DEFAULT_BATCH_SIZE, "batch_size")
    size = size_of(batch_size, size, f"{name}_batch_size")
    # Batches run on over the end of the rows: all are of one size.
    return _rows(data, seed, name).repeat().batch(size)


def ordered_batches(data: Any, name: str) -> tf.data.Dataset:
    """One pass over data in batches, in their order."""
    return _taken(data, None, None, name)


def check_labelled(spec: Any, name: str) -> None:
    """Raise unless a data set has batches of samples with labels."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        expected = f"{name} data of batches (x, y) or (x, y, sample_weight)"
        raise checks.invalid(expected, spec)


def equal_inputs(first: Any, second: Any, names: tuple[str, str]) -> None:
    """Raise unless two batches of inputs can go through one network."""
    one, other = (
        keras.tree.map_structure(lambda x: tuple(x.shape[1:]), spec)
        for spec in (first, second)
    )
    if one != other:
        raise checks.invalid(
            f"{names[0]} and {names[1]} inputs of one shape, because both go "
            "through the same layers",
            f"{names[0]} {one}, {names[1]} {other}, without the batch axis",
        )


def with_sizes_of(expected: Any, inputs: Any, names: tuple[str, str]) -> Any:
    """Checks sizes that are known only when a batch is read."""
    # Without quotes, which TensorFlow would escape.
    what = (
        f"Expected {names[0]} and {names[1]} inputs of one shape in each batch,"
        " because both go through the same layers at once. Pad or resize all "
        "batches to one size: padded_batch(batch_size, padded_shapes=...). "
        "Received shapes, without the batch axis:"
    )

    def checked(first, second):
        if first.shape[1:].is_fully_defined():
            # Compared with the others when the data set is made.
            return second
        sizes = tf.shape(first)[1:], tf.shape(second)[1:]
        equal = tf.reduce_all(tf.equal(*sizes))
        check = tf.debugging.Assert(equal, [what, *sizes])
        with tf.control_dependencies([check]):
            return tf.identity(second)

    return keras.tree.map_structure(checked, expected, inputs)


def side_by_side(
    finite: tf.data.Dataset, endless: tf.data.Dataset, join: Callable[..., Any]
) -> tf.data.Dataset:
    """Joins each batch of one data set with a batch of an endless one."""
    both = tf.data.Dataset.zip(finite, endless).map(join)
    return both.prefetch(tf.data.AUTOTUNE)


def without_lists(structure: Any) -> Any:
    """The same with tuples for lists, which TensorFlow would stack."""
    if isinstance(structure, dict):
        return {k: without_lists(v) for k, v in structure.items()}
    if isinstance(structure, (tuple, list)):
        return tuple(without_lists(v) for v in structure)
    return structure


def as_tuple(batch: Any) -> tuple[Any, ...]:
    """A batch as Keras takes it: inputs, then labels and weights if any."""
    batch = batch if isinstance(batch, (tuple, list)) else (batch,)
    length = len(batch)
    while length > 1 and batch[length - 1] is None:
        length -= 1
    return without_lists(batch[:length])


def size_of(batch_size: int | None, default: int, name: str) -> int:
    """Return a batch size, or the default if none is given."""
    return default if batch_size is None else checks.count(batch_size, name)


def _taken(data, batch_size, seed, name):
    if batch_size is not None:
        raise checks.invalid(
            f"no batch size for the {name} data, which come in batches already",
            f"batch size {batch_size}",
            "Batch the data set itself, or pass arrays.",
        )
    if isinstance(data, keras.utils.PyDataset):
        return _from_py_dataset(data, seed)
    spec = data.element_spec
    if isinstance(spec, tuple) and tf.NoneTensorSpec() in spec:
        return data.map(lambda *batch: as_tuple(batch))
    return data


def _rows(data, seed, name):
    arrays = as_tuple(data) if isinstance(data, tuple) else data
    arrays = checks.sample_tuple(arrays, name)
    rows = tf.data.Dataset.from_tensor_slices(arrays)
    return rows.shuffle(len(rows), seed=seed)


def _from_py_dataset(data, seed):
    rng = np.random.default_rng(seed)

    def batch(index):
        return as_tuple(data[int(index)])

    def generate():
        rows = range(len(data)) if seed is None else rng.permutation(len(data))
        yield from map(batch, rows)

    def spec(array):
        array = np.asarray(array)
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    specs = keras.tree.map_structure(spec, batch(0))
    batches = tf.data.Dataset.from_generator(generate, output_signature=specs)
    return batches.apply(tf.data.experimental.assert_cardinality(len(data)))
