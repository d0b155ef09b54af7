"""A few labelled samples of every class."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    DEFAULT_BATCH_SIZE,
    as_tuple,
    finite_batches,
)
from keras_otreg.data.splits import check_draw, draw_rows


class Labelled(NamedTuple):
    """Samples and their labels.

    Attributes:
        x: Samples of shape `(n, ...)`.
        y: Labels of shape `(n,)`.
    """

    x: np.ndarray
    y: np.ndarray


def few_shot(
    x: Any, y: Any = None, per_class: Any = None, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """Draw equally many samples of every class, and return the others too.

    Call it as `few_shot(x, y, per_class, seed)` for arrays, and as
    `few_shot(x, per_class, seed)` where `x` holds the labels too. A data set
    is read into memory; shuffle it afterwards, or the seed does not say which
    samples are drawn.

    Args:
        x: Samples of shape `(n, ...)` and any dtype, such as names of files;
            or, without `y`, a pair of samples and labels, a `tf.data.Dataset`
            of samples `(x, y)` or batches, or a `keras.utils.PyDataset`.
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
        few, rest = otreg.data.few_shot(x, y, per_class=2)
        model.fit(few.x, few.y, validation_data=rest)

        pictures = otreg.data.image_folder("clothes", shuffle=False)
        few, others = otreg.data.few_shot(pictures, per_class=5)
        data = otreg.data.with_unlabelled(few, others)
        ```
    """
    if np.ndim(y) == 0:
        if y is not None:
            # As few_shot(x, per_class, seed).
            seed = seed if per_class is None else per_class
            per_class = y
        if isinstance(x, BATCHED):
            x, y = _arrays_of(x, seed)
        else:
            x, y, *_ = checks.sample_tuple(as_tuple(x), "few-shot")
    x, y = np.asarray(x), np.asarray(y)
    checks.one_label_each(x, y, "data", least_rank=1)
    y = y.reshape(-1)
    classes, counts = np.unique(y, return_counts=True)
    for label in classes.astype(int) if classes.dtype == bool else classes:
        checks.number(
            label,
            "y",
            expected="labels that are whole numbers",
            valid=float.is_integer,
        )
    found = dict(zip(classes.tolist(), counts.tolist(), strict=True))
    per_class = check_draw(per_class, found, "per_class")
    drawn = draw_rows(y, lambda size: per_class, seed)
    others = np.setdiff1d(np.arange(len(y)), drawn)
    return Labelled(x[drawn], y[drawn]), Labelled(x[others], y[others])


def _arrays_of(data, seed):
    """All samples and labels of a data set."""
    batches = finite_batches(data, None, seed, "few-shot")
    checks.finite_passes(
        batches.cardinality() == tf.data.INFINITE_CARDINALITY,
        "all of them are read before some are drawn",
    )
    if batches.element_spec[1].shape.rank == 0:
        batches = batches.batch(DEFAULT_BATCH_SIZE)
    pairs = [batch[:2] for batch in batches.as_numpy_iterator()]
    checks.some_batches(pairs)
    return map(np.concatenate, zip(*pairs, strict=True))
