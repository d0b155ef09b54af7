"""Batches of the rows of arrays, in memory or on disk, in any order."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_otreg.data.samples import Columns

# Of data sets; those that are made of them hold them, and so do iterators.
ATTRIBUTE = "keras_otreg_columns"


def batches_of_rows(
    columns: Columns,
    batch_size: int,
    seed: int | None,
    pack: Callable[[list[Any]], Any],
) -> tf.data.Dataset:
    """Batches of the rows of arrays, which live as long as the batches.

    Args:
        columns: Arrays with equally many rows.
        batch_size: How many rows a batch has; the last one may have fewer.
        seed: Seed of the orders, a new one in each pass; `None` for the order
            of the rows.
        pack: Makes a batch of the rows of each array.

    Returns:
        A `tf.data.Dataset`.
    """
    order = tf.data.Dataset.range(len(columns[0]))
    if seed is not None:
        order = order.shuffle(len(columns[0]), seed=seed)
    taken = _taker(columns)
    batches = order.batch(batch_size).map(
        lambda rows: pack(taken(rows)), num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = batches.prefetch(tf.data.AUTOTUNE)
    setattr(batches, ATTRIBUTE, tuple(columns))
    return batches


def _taker(columns):
    """Returns a function that gives some rows of each column, as tensors."""
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

    def taken(rows):
        found = tf.numpy_function(take, [rows], [dtype for dtype, _ in specs])
        for tensor, (_, shape) in zip(found, specs, strict=True):
            tensor.set_shape((None, *shape))
        return found

    return taken
