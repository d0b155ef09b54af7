"""Batches that pair target data with source data."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks

DEFAULT_BATCH_SIZE = 32


def paired(
    target: Any,
    source: Any,
    *,
    batch_size: int | None = None,
    source_batch_size: int | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Pairs target data with source data for joint training.

    One epoch is one pass over the target. The source starts anew in each
    epoch, in a new order, and repeats if it is the shorter one.

    Args:
        target: `(x, y)` or `(x, y, sample_weight)` arrays, which are shuffled
            and batched here; a `keras.utils.PyDataset` of such batches, whose
            batches are shuffled; or a batched `tf.data.Dataset`, taken as it
            is. Shuffle a long source of that kind, or only its first batches
            are ever seen.
        source: Likewise, with the labels of the source task.
        batch_size: Target samples in a batch, for arrays; 32 if not given.
        source_batch_size: Source samples in a batch, for arrays, and all
            batches have as many; `batch_size` if not given.
        seed: Seed of the orders of arrays.

    Returns:
        A `tf.data.Dataset` of `((x_target, x_source), (y_target, y_source))`,
        with a pair of sample weights behind if both have them.

    Raises:
        ValueError: If the inputs of the two have different structures or
            shapes, if one has sample weights and the other has not, or if a
            batch size is given for data that come in batches.

    Example:
        ```python
        data = otreg.data.paired((x, y), (x_source, y_source), batch_size=32)
        model.fit(data, epochs=10)
        ```
    """
    target = _batches(target, batch_size, seed, "target")
    source = _endless_batches(source, batch_size, source_batch_size, seed + 1)
    checks.pairable(target.element_spec, source.element_spec)
    steps = target.cardinality()
    both = tf.data.Dataset.zip(target, source)
    both = both.map(lambda t, s: tuple(zip(t, s, strict=True)))
    # A zip with something endless has forgotten how long it is.
    both = both.apply(tf.data.experimental.assert_cardinality(steps))
    return both.prefetch(tf.data.AUTOTUNE)


def _batches(data, batch_size, seed, name):
    if isinstance(data, (tf.data.Dataset, keras.utils.PyDataset)):
        checks.no_batch_size(batch_size, name)
        is_dataset = isinstance(data, tf.data.Dataset)
        return data if is_dataset else _from_py_dataset(data, seed)
    return _rows(data, seed, name).batch(batch_size or DEFAULT_BATCH_SIZE)


def _endless_batches(data, batch_size, source_batch_size, seed):
    if isinstance(data, (tf.data.Dataset, keras.utils.PyDataset)):
        return _batches(data, source_batch_size, seed, "source").repeat()
    size = source_batch_size or batch_size or DEFAULT_BATCH_SIZE
    # Batches run on over the end of the rows: all are of one size.
    return _rows(data, seed, "source").repeat().batch(size)


def _rows(data, seed, name):
    arrays = checks.sample_tuple(data, name)
    rows = tf.data.Dataset.from_tensor_slices(arrays)
    return rows.shuffle(len(rows), seed=seed)


def _from_py_dataset(data, seed):
    rng = np.random.default_rng(seed)

    def generate():
        for index in rng.permutation(len(data)):
            yield tuple(data[int(index)])

    def spec(array):
        array = np.asarray(array)
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    signature = keras.tree.map_structure(spec, tuple(data[0]))
    batches = tf.data.Dataset.from_generator(
        generate, output_signature=signature
    )
    return batches.apply(tf.data.experimental.assert_cardinality(len(data)))
