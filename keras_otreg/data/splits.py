"""Draws of samples of every class, and splits of records into parts."""

import collections
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_otreg import checks
from keras_otreg.data.batches import (
    BATCHED,
    DEFAULT_BATCH_SIZE,
    as_tuple,
    batches_of,
)
from keras_otreg.features.batches import batches

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
HELD_OUT = ("validation", "test")
Part = tuple[str, np.ndarray | None]


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
            data = batches_of(x, "few-shot", {})
            if data.element_spec[1].shape.rank == 0:
                data = data.batch(DEFAULT_BATCH_SIZE)
            pairs = [[x.numpy() for x in pair[:2]] for pair in batches(data)]
            checks.some_batches(pairs)
            x, y = map(np.concatenate, zip(*pairs, strict=True))
        else:
            x, y, *_ = checks.sample_tuple(as_tuple(x), "few-shot")
    x, y = np.asarray(x), np.asarray(y)
    checks.one_label_each(x, y, "data", least_rank=1)
    y = y.reshape(-1)
    counts = collections.Counter(y.tolist())
    expected = "labels that are whole numbers"
    # Those that are left out may be booleans.
    for label in counts.keys() - {0, 1}:
        checks.number(label, "y", expected, float.is_integer)
    per_class = check_draw(per_class, counts, "per_class")
    drawn = draw_rows(y, lambda size: per_class, seed)
    others = np.setdiff1d(np.arange(len(y)), drawn)
    return Labelled(x[drawn], y[drawn]), Labelled(x[others], y[others])


def draw_rows(
    labels: np.ndarray, number: Callable[[int], int], seed: int
) -> np.ndarray:
    """Draw rows of every class at random."""
    checks.count(seed, "seed", least=0)
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        drawn.append(rows[: number(len(rows))])
    return np.concatenate(drawn)


def set_aside(
    labels: np.ndarray, shares: Mapping[str, float], seed: int = 0
) -> dict[str, np.ndarray]:
    """Set aside rows for some parts in turn; the rest is to train on.

    Of every class that is left, a part gets its share, at least one sample,
    but not all.
    """
    parts, rows = {}, np.arange(len(labels))
    for part, share in shares.items():

        def number(size, share=share):
            return min(size - 1, max(1, round(share * size)))

        drawn = draw_rows(labels[rows], number, seed)
        parts[part] = rows[np.sort(drawn)]
        rows = np.delete(rows, drawn)
    return {"train": rows, **parts}


def check_draw(value: Any, counts: Mapping[Any, int], name: str) -> int:
    """Return how many samples of each class to draw, if all have as many."""
    most, smallest = min((n, label) for label, n in counts.items())
    smallest = f"the size of the smallest class, {most} of {smallest!r}"
    expected = f"a whole number from 1 to {smallest}"
    count = checks.number(value, name, expected, float.is_integer)
    return int(checks.require(1 <= count <= most, value, name, expected))


def divide(
    splits: Collection[str], train_labels: Callable[[], np.ndarray]
) -> dict[str, Part]:
    """Divide records into training, validation and test.

    Returns a split, and rows of it or `None` for all, of each. What is lacking
    is taken from the training records; where there is no test split, the
    validation split is for testing.
    """
    held_out = {name: (name, None) for name in HELD_OUT if name in splits}
    if len(held_out) == len(HELD_OUT):
        return {"train": ("train", None), **held_out}
    shares = {"test": TEST_SHARE, "validation": VALIDATION_SHARE}
    if held_out:
        del shares["test"]
    found = set_aside(train_labels(), shares)
    parts: dict[str, Part] = {k: ("train", rows) for k, rows in found.items()}
    # Without a split for testing, the one for validation is for it.
    for split in held_out.values():
        parts["test"] = split
    return parts


def fewer(
    rows: np.ndarray | None,
    labels: np.ndarray,
    shots: int | None,
    fraction: float | None,
    seed: int,
) -> np.ndarray:
    """Draw some of the training records, of every class."""
    rows = np.arange(len(labels)) if rows is None else rows
    labels = labels[rows]
    if shots is not None:
        check_draw(shots, collections.Counter(labels.tolist()), "shots")

    def number(size):
        return shots or max(1, round(fraction * size))

    return np.sort(rows[draw_rows(labels, number, seed)])
