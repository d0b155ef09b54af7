"""Batches that pair target data with source data."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    DEFAULT_BATCH_SIZE,
    as_tuple,
    check_labelled,
    endless_batches,
    equal_inputs,
    finite_batches,
    side_by_side,
    size_of,
    with_sizes_of,
)
from keras_otreg.models.parts import split

NAMES = ("target", "source")
# One more than the largest of TensorFlow's random numbers.
NUMBERS = 2.0**32


def paired(
    target: Any,
    source: Any,
    *,
    batch_size: int | None = None,
    source_batch_size: int | None = None,
    source_shares: Any = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Pair target data with source data for joint training.

    One epoch is one pass over the target. The source starts anew in each
    epoch, in a new order, and repeats if it is the shorter one.

    Args:
        target: Labelled data as of `with_unlabelled`, which also returns such.
        source: Likewise, with the labels of the source task. Shuffle a long
            `tf.data.Dataset`, or only its first batches are ever seen.
        batch_size: Target samples in a batch, for arrays; 32 if not given.
        source_batch_size: Source samples in a batch, for arrays, and all
            batches have as many; `batch_size` if not given.
        source_shares: For each source class, by sorted label, its share of
            the source samples, such as `keras_otreg.class_costs.shares`; or a
            function that returns them and is asked once in each epoch, such
            as `keras_otreg.callbacks.SourceShares`. A class is then drawn for
            each sample, and one of its samples, with replacement. Only for a
            source of arrays.
        seed: Seed of the orders of arrays.

    Returns:
        A `tf.data.Dataset` of `((x_target, x_source), (y_target, y_source))`,
        with a pair of sample weights behind if both have them.

    Raises:
        ValueError: As `with_unlabelled` does, or if one has sample weights and
            the other has not.

    Example:
        ```python
        data = otreg.data.paired((x, y), (x_source, y_source), batch_size=32)
        model.fit(data, epochs=10)
        ```
    """
    seed = checks.count(seed, "seed", least=0)
    target = finite_batches(target, batch_size, seed, "target")
    if source_shares is None:
        source = endless_batches(
            source, source_batch_size, batch_size, seed + 1, "source"
        )
    else:
        size = size_of(batch_size, DEFAULT_BATCH_SIZE, "batch_size")
        size = size_of(source_batch_size, size, "source_batch_size")
        source = _drawn_batches(source, source_shares, size, seed + 1)
    x, *others = target.element_spec
    # Unlabelled target samples are the target's own affair.
    known = (split(x).target, *others)
    check_labelled(source.element_spec, "source")
    if len(known) != len(source.element_spec):
        raise checks.invalid(
            "sample weights for both data sets or for neither",
            f"tuples of {len(known)} for the target and of "
            f"{len(source.element_spec)} for the source",
        )
    equal_inputs(known[0], source.element_spec[0], NAMES)

    def join(own, other):
        x, *labels = other
        x = with_sizes_of(split(own[0]).target, x, NAMES)
        return tuple(zip(own, (x, *labels), strict=True))

    return side_by_side(target, source, join)


def _drawn_batches(data, shares, batch_size, seed):
    """Batches without end; a class is drawn by shares, then a sample of it."""
    name = NAMES[1]
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
