"""Batches of labelled samples and of others that were given labels."""

import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    DEFAULT_BATCH_SIZE,
    UNLABELLED,
    batches_of,
    side_by_side,
)
from keras_otreg.features.batches import checksum
from keras_otreg.heads import targets_of
from keras_otreg.labelling.labels import (
    Labelling,
    TransportedLabels,
    check_some_weight,
)

# Of data sets, which keep the labels that they read.
ATTRIBUTE = "keras_otreg_labels"


def with_labels(
    labelled: Any,
    unlabelled: Any,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    mass: float = 1.0,
    seed: int = 0,
) -> tf.data.Dataset:
    """Join labelled samples with others that carry soft labels and weights.

    Half of each batch is labelled, the other half are samples with a weight
    above 0. One epoch is one pass over the latter; the labelled samples repeat,
    in a new order each time. With a `SelfTraining` and arrays it has as many
    batches as a pass over all unlabelled samples. All labels are rows of
    probabilities: the loss is a `"categorical_crossentropy"`, and validation
    labels are one-hot.

    Args:
        labelled: `(x, y)` or `(x, y, sample_weight)` arrays, a batched
            `tf.data.Dataset` or a `keras.utils.PyDataset` of them. Labels are
            numbers of classes or rows of probabilities.
        unlabelled: A pair of inputs and their labels. The inputs are arrays or
            batches, in the order in which they were labelled, which is checked;
            the labels a `keras_otreg.labelling.TransportedLabels`, or the
            `keras_otreg.callbacks.SelfTraining` that will make them.
        batch_size: Samples in a batch, of both kinds together.
        mass: Total weight of the unlabelled samples over that of the labelled.
        seed: Seed of the orders.

    Returns:
        A `tf.data.Dataset` of `(x, y, sample_weight)` for stock `fit`.

    Raises:
        ValueError: If no sample has a weight, the numbers of samples and labels
            differ, inputs have different shapes, or an argument is out of
            range.
        tf.errors.InvalidArgumentError: In `fit`, if batches come in another
            order than when they were labelled.

    Example:
        ```python
        labels = otreg.labelling.transported_labels(model, x_more)
        data = otreg.data.with_labels((x, y), (x_more, labels))
        model.compile("adam", "categorical_crossentropy")
        model.fit(data, epochs=3)
        ```
    """
    half = checks.count(batch_size, "batch_size", least=2) // 2
    mass = checks.positive(mass, "mass")
    seed = checks.count(seed, "seed", least=0)
    is_pair = isinstance(unlabelled, tuple) and len(unlabelled) == 2
    x, labels = unlabelled if is_pair else (unlabelled, None)
    if isinstance(labels, TransportedLabels):
        labels = Labelling(labels)
    if not isinstance(labels, Labelling):
        raise checks.invalid(
            "(x_unlabelled, labels), with the labels that `transported_labels` "
            "returned, or a `SelfTraining`",
            f"an object of type {type(unlabelled).__name__}",
            argument="unlabelled",
        )
    classes = _classes(labelled, labels.labels)
    others = _labelled_rows(x, labels, classes, half, seed)
    known = _endless(labelled, classes, half, seed + 1)

    def join(other, own):
        x, y, weight = other
        count = tf.shape(weight)[0]

        def concatenated(rows, more):
            # Pictures may be bytes in one folder, and numbers in the other.
            dtype = keras.backend.result_type(rows.dtype.name, more.dtype.name)
            both = tf.cast(rows[:count], dtype), tf.cast(more, dtype)
            return tf.concat(both, axis=0)

        more = (x, y, mass * weight)
        return tf.nest.map_structure(concatenated, own, more)

    batches = side_by_side(others, known, UNLABELLED[::-1], join)
    setattr(batches, ATTRIBUTE, labels)
    return batches


def _classes(labelled, labels):
    """The number of classes, as the labels of either kind tell it."""
    if labels is not None:
        check_some_weight(labels)
        return labels.probabilities.shape[1]
    if isinstance(labelled, BATCHED):
        labelled = next(iter(batches_of(labelled, "labelled", {})))
    y = np.asarray(labelled[1])
    if y.ndim == 2 and y.shape[1] > 1:
        return y.shape[1]
    if isinstance(labelled[1], tf.Tensor):
        raise checks.invalid(
            "rows of probabilities as labels, which tell the number of "
            "classes, in batches that are joined with a `SelfTraining`",
            "numbers of classes",
            "Map the labels by `keras.ops.one_hot`.",
        )
    return int(y.max()) + 1


def _endless(labelled, classes, size, seed):
    """Endless batches of labelled samples, their targets and weights."""
    if isinstance(labelled, BATCHED):
        batches = batches_of(labelled, "labelled", {}, seed, endless=True)
        batches = batches.unbatch().batch(size)
    else:
        x, y, *weight = checks.labelled_batch(labelled)
        labelled = (x, targets_of(y, classes), *weight)
        sizes = {"batch_size": size}
        batches = batches_of(labelled, "labelled", sizes, seed, endless=True)

    def complete(x, y, weight=None):
        if y.shape.rank == 1 or y.shape[-1] == 1:
            y = tf.reshape(y, (-1,))
            most = tf.cast(classes - 1, y.dtype)
            tf.debugging.assert_less_equal(y, most)
            y = tf.one_hot(tf.cast(y, "int32"), classes)
        weight = tf.ones(tf.shape(y)[:1]) if weight is None else weight
        weight = tf.reshape(tf.cast(weight, "float32"), (-1,))
        return x, tf.cast(y, "float32"), weight

    return batches.map(complete)


def _labelled_rows(x, labelling, classes, size, seed):
    """Batches of one pass over the samples that have a weight."""
    if isinstance(x, BATCHED):
        rows = batches_of(x, "unlabelled", {}, labels=False).unbatch()
        if isinstance(rows.element_spec, tuple):
            rows = rows.map(lambda x, *others: x)
        rows = rows.enumerate()
    else:
        rows = tf.data.Dataset.from_tensor_slices(x).enumerate()
        labels, count = labelling.labels, len(rows)
        if labels is not None and count != len(labels.sample_weight):
            raise checks.invalid(
                "the samples that were labelled, all of them",
                f"{count} samples and {len(labels.sample_weight)} labels",
            )
        rows = rows.shuffle(len(rows), seed=seed)
    look_up = _looked_up(labelling, classes, size)

    def with_row(place, row):
        number, x = row
        leaves = tf.nest.flatten(x)
        types = "float32", "float32"
        y, weight = tf.numpy_function(look_up, [place, number, *leaves], types)
        y.set_shape((classes,))
        weight.set_shape(())
        return x, y, weight

    # Keras fixes the length of an epoch: it must not depend on the round.
    count = None
    if labelling.labels is not None:
        count = int((labelling.labels.sample_weight > 0.0).sum())
    elif not isinstance(x, BATCHED):
        count, rows = len(rows), rows.repeat()
    found = rows.enumerate().map(with_row)
    found = found.filter(lambda x, y, weight: weight > 0.0).batch(size)
    if count is None:
        return found
    steps = -(-count // size)
    length = tf.data.experimental.assert_cardinality(steps)
    return found.take(steps).apply(length)


def _looked_up(labelling, classes, first):
    """Return a function that gives the label and the weight of a sample."""
    # TensorFlow keeps a function of Python, and all that it holds, for good.
    held = weakref.ref(labelling)

    def look_up(place, number, *leaves):
        owner = held()
        labels = owner.labels
        if labels is None:
            # Keras reads a batch for its shapes before a training begins.
            if place < first:
                return np.full(classes, 1.0 / classes, "float32"), np.float32(1)
            raise ValueError(
                "Expected the `SelfTraining` that labels the samples among the "
                "callbacks of `fit`. Received: no labels when training began."
            )
        owner.is_read = True
        known = labels.checksums
        if number >= len(labels.sample_weight) or (
            known is not None and known[number] != checksum(leaves)
        ):
            raise ValueError(
                "Expected the unlabelled samples in the order in which they "
                f"were labelled. Received: another sample number {number}. "
                "Leave out shuffling and random augmentation before "
                "`with_labels`; map the data that it returns."
            )
        return labels.probabilities[number], labels.sample_weight[number]

    return look_up
