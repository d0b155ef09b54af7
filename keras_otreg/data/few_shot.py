"""A few labelled samples of every class."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    DEFAULT_BATCH_SIZE,
    as_tuple,
    finite_batches,
)


class Labelled(NamedTuple):
    """Samples and their labels.

    Attributes:
        x: Samples of shape `(n, ...)`.
        y: Labels of shape `(n,)`.

    Example:
        ```python
        few, rest = otreg.data.few_shot(x, y, per_class=5)
        model.fit(few.x, few.y, validation_data=rest)
        ```
    """

    x: np.ndarray
    y: np.ndarray


@functools.singledispatch
def few_shot(
    x: Any, y: Any, per_class: int, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """Draws equally many samples of every class, and returns the others too.

    Call it as `few_shot(x, y, per_class, seed)` for arrays, and as
    `few_shot(data, per_class, seed)` for a pair of them in `data`, for a
    `tf.data.Dataset` of samples `(x, y)` or of batches of them, or for a
    `keras.utils.PyDataset`. A data set is read into memory; shuffle it
    afterwards, or the seed does not say which samples are drawn.

    Args:
        x: Samples of shape `(n, ...)`.
        y: Integer labels of shape `(n,)`.
        per_class: How many samples of each class to draw.
        seed: Seed of the draw.

    Returns:
        Two `Labelled` pairs `(x, y)` of the samples drawn, in the order of
        their classes, and the others in the order they came in. No sample is
        in both.

    Raises:
        ValueError: If a class has fewer than `per_class` samples, or labels
            are no whole numbers, or a data set has no end.

    Example:
        ```python
        (x_train, y_train), (x_rest, y_rest) = otreg.data.few_shot(x, y, 2)

        pictures = otreg.data.image_folder("clothes", shuffle=False)
        few, others = otreg.data.few_shot(pictures, 5)
        data = otreg.data.with_unlabelled(few, others)
        ```
    """
    x, y = np.asarray(x), np.asarray(y)
    checks.one_label_each(x, y, "data")
    classes, counts = np.unique(y, return_counts=True)
    for label in classes.astype(int) if classes.dtype == bool else classes:
        checks.number(
            label,
            "y",
            expected="labels that are whole numbers",
            valid=float.is_integer,
        )
    smallest = int(counts.min())
    checks.number(
        per_class,
        "per_class",
        expected="a whole number from 1 to the size of the smallest class, "
        f"{smallest}",
        valid=lambda n: 1 <= n <= smallest and n == int(n),
    )
    drawn = rows_of_each(y, lambda size: int(per_class), seed)
    others = np.setdiff1d(np.arange(len(y)), drawn)
    return Labelled(x[drawn], y[drawn]), Labelled(x[others], y[others])


def rows_of_each(
    labels: np.ndarray, number: Callable[[int], int], seed: int
) -> np.ndarray:
    """Draws rows of every class at random.

    Args:
        labels: Labels of shape `(n,)`.
        number: How many rows to draw of a class, given how many it has.
        seed: Seed of the draw.

    Returns:
        Numbers of rows, in the order of their classes.
    """
    checks.count(seed, "seed", least=0)
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        drawn.append(rows[: number(len(rows))])
    return np.concatenate(drawn)


@few_shot.register
def _of_pair(data: tuple, per_class: int, seed: int = 0):
    x, y = checks.sample_tuple(as_tuple(data), "few-shot")[:2]
    return few_shot(np.asarray(x), y, per_class, seed)


@few_shot.register(tf.data.Dataset)
@few_shot.register(keras.utils.PyDataset)
def _of_data_set(data: Any, per_class: int, seed: int = 0):
    batches = finite_batches(data, None, seed, "few-shot")
    checks.finite_passes(
        batches.cardinality() == tf.data.INFINITE_CARDINALITY,
        "all of them are read before some are drawn",
    )
    if batches.element_spec[1].shape.rank == 0:
        batches = batches.batch(DEFAULT_BATCH_SIZE)
    pairs = [batch[:2] for batch in batches.as_numpy_iterator()]
    checks.some_batches(pairs)
    x, y = map(np.concatenate, zip(*pairs, strict=True))
    return few_shot(x, y, per_class, seed)
