"""Batches of samples whose classes are drawn by shares."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import BATCHED, as_tuple

# One more than the largest of TensorFlow's random numbers.
NUMBERS = 2.0**32


def drawn_batches(
    data: Any, shares: Any, batch_size: int, seed: int, name: str
) -> tf.data.Dataset:
    """Batches without end; a class is drawn by shares, then a sample of it.

    A function is asked for the shares at the start of each pass.
    """
    if isinstance(data, BATCHED) or not isinstance(data, tuple):
        raise checks.invalid(
            f"{name} data in arrays (x, y), to draw samples by their class",
            f"an object of type {type(data).__name__}",
            "Read them into arrays, or leave out `source_shares`.",
        )
    rows = checks.sample_tuple(as_tuple(data), name)
    ends = _ends(rows[1], shares, f"{name}_shares")
    arrays = keras.tree.map_structure(tf.convert_to_tensor, rows)
    random = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    numbers = random.batch(batch_size, drop_remainder=True)

    def batches(ends):
        def batch(numbers):
            # A sample of share zero has no width: it is never found.
            places = tf.cast(numbers, tf.float64) / NUMBERS * ends[-1]
            found = tf.searchsorted(ends, places, side="right")
            return keras.tree.map_structure(
                lambda x: tf.gather(x, found), arrays
            )

        return numbers.map(batch)

    return ends.flat_map(batches)


def _ends(labels, shares, name):
    """A data set of one element: where the width of each sample ends."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    _, owners, counts = np.unique(
        labels.reshape(-1), return_inverse=True, return_counts=True
    )

    def widths(found: Any) -> np.ndarray:
        found = np.ones(len(counts)) if found is None else found
        found = checks.class_shares(found, len(counts), name)
        return np.cumsum((found / counts)[owners.reshape(-1)])

    def asked(_):
        found = tf.numpy_function(lambda: widths(shares()), [], tf.float64)
        return tf.ensure_shape(found, owners.size)

    if callable(shares):
        return tf.data.Dataset.from_tensors(0).map(asked)
    return tf.data.Dataset.from_tensors(widths(shares))
