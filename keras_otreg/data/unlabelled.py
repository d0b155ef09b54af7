"""Batches that carry samples without labels."""

from typing import Any

import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    endless_batches,
    equal_inputs,
    finite_batches,
    side_by_side,
    with_sizes_of,
)
from keras_otreg.models.parts import split, with_extra

NAMES = ("labelled", "unlabelled")


def with_unlabelled(
    labelled: Any,
    unlabelled: Any,
    *,
    batch_size: int | None = None,
    unlabelled_batch_size: int | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Add unlabelled samples to each batch of labelled ones.

    The unlabelled samples go through student and teacher with the others, in
    one forward pass, and on into the penalties; never into the task's loss or
    its metrics, and a `sample_weight` is for the labelled samples alone.

    The `tf.data.Dataset` is for `TransferModel.fit`, or the target of
    `keras_otreg.data.paired`. One epoch is one pass over the labelled samples.
    The others start anew in each epoch, in a new order, and repeat if they are
    fewer.

    Args:
        labelled: `(x, y)` or `(x, y, sample_weight)` arrays, which are
            shuffled and batched here; a `keras.utils.PyDataset` of such
            batches, whose batches are shuffled; or a batched
            `tf.data.Dataset`, taken as it is.
        unlabelled: Likewise, an array `x` or batches of it. What comes behind
            `x` in a tuple, such as labels, is left out.
        batch_size: Labelled samples in a batch, for arrays; 32 if not given.
        unlabelled_batch_size: Unlabelled samples in a batch, for arrays, and
            all batches have as many; `batch_size` if not given.
        seed: Seed of the orders of arrays.

    Raises:
        ValueError: If the inputs have different structures or shapes, a batch
            size is given for data that come in batches, or it or the seed is
            no whole number.
        tf.errors.InvalidArgumentError: In `fit`, for shapes that are not known
            before a batch is read.

    Example:
        ```python
        data = otreg.data.with_unlabelled(
            (x, y), x_more, batch_size=16, unlabelled_batch_size=64
        )
        model.fit(data, epochs=10, validation_data=(x_valid, y_valid))
        ```
    """
    seed = checks.count(seed, "seed", least=0)
    labelled = finite_batches(labelled, batch_size, seed, "labelled")
    if not isinstance(unlabelled, (tuple, *BATCHED)):
        unlabelled = (unlabelled,)
    unlabelled = endless_batches(
        unlabelled, unlabelled_batch_size, batch_size, seed + 1, "unlabelled"
    ).map(lambda *batch: batch[0])
    inputs = labelled.element_spec[0], unlabelled.element_spec
    cached = [split(x).known is not None for x in inputs]
    if cached[0] != cached[1]:
        raise checks.invalid(
            "the teacher's activations with labelled and unlabelled samples, "
            "or with neither, because both go through it together",
            f"{NAMES[cached.index(True)]} samples alone have them",
            "Give the others to `keras_otreg.data.with_teacher` too.",
        )
    equal_inputs(*inputs, NAMES)

    def join(batch, more):
        x, *labels = batch
        return (with_extra(x, with_sizes_of(x, more, NAMES)), *labels)

    return side_by_side(labelled, unlabelled, join)
