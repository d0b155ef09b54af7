"""Which records of a data set are for what."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from keras_otreg import checks
from keras_otreg.data.few_shot import rows_of_each

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1


class Part(NamedTuple):
    """Some records.

    Attributes:
        split: As TFDS calls it.
        rows: Numbers of the records, or `None` for all of the split.
    """

    split: str
    rows: np.ndarray | None = None


def divide(
    splits: Collection[str], train_labels: Callable[[], np.ndarray]
) -> dict[str, Part]:
    """Says what to train, validate and test on.

    What a data set lacks is taken from its training records, as large a share
    of every class, and always the same records. Where it has no test split,
    its validation split is for testing.

    Args:
        splits: Names of those that have labels.
        train_labels: Reads the labels of the split `train`.

    Returns:
        Parts by their names, `train`, `validation` and `test`.
    """
    held_out = [name for name in ("validation", "test") if name in splits]
    if len(held_out) == 2:
        return {name: Part(name) for name in ("train", *held_out)}
    labels = train_labels()
    rows, parts = np.arange(len(labels)), {}
    if held_out:
        parts["test"] = Part(held_out[0])
    else:
        rows, drawn = _apart(labels, rows, TEST_SHARE)
        parts["test"] = Part("train", drawn)
    rows, drawn = _apart(labels, rows, VALIDATION_SHARE)
    return {
        "train": Part("train", rows),
        "validation": Part("train", drawn),
        **parts,
    }


def fewer(
    rows: np.ndarray | None,
    labels: np.ndarray,
    shots: int | None,
    fraction: float | None,
    seed: int,
) -> np.ndarray:
    """Draws some of the training records, of every class.

    Args:
        rows: Numbers of the records, or `None` for all.
        labels: Labels of all records of the split.
        shots: How many of each class, or `None`.
        fraction: Which share of each class, at least one record, if `shots`
            is `None`.
        seed: Seed of the draw.

    Returns:
        Numbers of records, sorted.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    sizes = np.unique(labels[rows], return_counts=True)[1]
    if shots is not None:
        checks.enough_of_each(shots, int(sizes.min()))
        return _drawn(labels, rows, lambda size: shots, seed)
    return _drawn(
        labels, rows, lambda size: max(1, round(fraction * size)), seed
    )


def _apart(labels, rows, share):
    """Two groups of rows; the second has this share of each class."""

    def number(size):
        return min(size - 1, max(1, round(share * size)))

    drawn = _drawn(labels, rows, number, seed=0)
    return np.setdiff1d(rows, drawn), drawn


def _drawn(labels, rows, number, seed):
    return np.sort(rows[rows_of_each(labels[rows], number, seed)])
