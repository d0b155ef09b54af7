"""Batches of whatever `fit` takes, alone and two at a time."""

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
    """One pass over some labelled data.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)` arrays, which are shuffled
            and batched; a `keras.utils.PyDataset`, whose batches are
            shuffled; or a batched `tf.data.Dataset`, taken as it is.
        batch_size: For arrays; 32 if not given.
        seed: Seed of the orders.
        name: What the data are called in an error.

    Returns:
        Batches `(x, y)` or `(x, y, sample_weight)`.
    """
    if isinstance(data, BATCHED):
        batches = _taken(data, batch_size, seed, name)
    else:
        size = _size(batch_size, DEFAULT_BATCH_SIZE, "batch_size")
        batches = _rows(data, seed, name).batch(size)
    checks.labelled_batches(batches.element_spec, name)
    return batches


def endless_batches(
    data: Any, batch_size: int | None, default: int | None, seed: int, name: str
) -> tf.data.Dataset:
    """Passes over some data without end, each in a new order.

    Args:
        data: As for `finite_batches`, with labels or without.
        batch_size: For arrays, whose batches are all of this size.
        default: Instead of a `batch_size` that is not given, for arrays.
        seed: Seed of the orders.
        name: What the data are called in an error.

    Returns:
        Batches as they come in `data`.
    """
    if isinstance(data, BATCHED):
        return _taken(data, batch_size, seed, name).repeat()
    size = _size(default, DEFAULT_BATCH_SIZE, "batch_size")
    size = _size(batch_size, size, f"{name}_batch_size")
    # Batches run on over the end of the rows: all are of one size.
    return _rows(data, seed, name).repeat().batch(size)


def side_by_side(
    finite: tf.data.Dataset, endless: tf.data.Dataset, join: Callable[..., Any]
) -> tf.data.Dataset:
    """Joins each batch of one data set with a batch of an endless one.

    Args:
        finite: Data whose end is the end.
        endless: Data that go on.
        join: Makes one batch of a batch of each.

    Returns:
        As many batches as `finite` has.
    """
    both = tf.data.Dataset.zip(finite, endless).map(join)
    return both.prefetch(tf.data.AUTOTUNE)


def without_lists(structure: Any) -> Any:
    """The same with tuples for lists, which TensorFlow would stack."""
    if isinstance(structure, dict):
        return {k: without_lists(v) for k, v in structure.items()}
    if isinstance(structure, (tuple, list)):
        return tuple(without_lists(v) for v in structure)
    return structure


def without_nones(batch: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same without labels and weights that are `None`, as for Keras."""
    length = len(batch)
    while length > 1 and batch[length - 1] is None:
        length -= 1
    return batch[:length]


def _size(batch_size, default, name):
    return default if batch_size is None else checks.count(batch_size, name)


def _taken(data, batch_size, seed, name):
    checks.no_batch_size(batch_size, name)
    is_dataset = isinstance(data, tf.data.Dataset)
    return data if is_dataset else _from_py_dataset(data, seed)


def _rows(data, seed, name):
    # Not a named one: of those, a map is given the whole.
    arrays = without_lists(tuple(checks.sample_tuple(data, name)))
    rows = tf.data.Dataset.from_tensor_slices(arrays)
    return rows.shuffle(len(rows), seed=seed)


def _from_py_dataset(data, seed):
    rng = np.random.default_rng(seed)

    def batch(index):
        return without_lists(data[int(index)])

    def generate():
        yield from map(batch, rng.permutation(len(data)))

    def spec(array):
        array = np.asarray(array)
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    batches = tf.data.Dataset.from_generator(
        generate, output_signature=keras.tree.map_structure(spec, batch(0))
    )
    return batches.apply(tf.data.experimental.assert_cardinality(len(data)))
