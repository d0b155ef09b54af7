"""Draws of samples of every class, and splits of records into parts."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_otreg import checks

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1


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
    labels: np.ndarray, share: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Set aside a share of every class, at least one sample, but not all."""
    aside = draw_rows(
        labels, lambda size: min(size - 1, max(1, round(share * size))), seed
    )
    return np.setdiff1d(np.arange(len(labels)), aside), np.sort(aside)


def check_draw(value: Any, counts: Mapping[Any, int], name: str) -> int:
    """Return how many samples of each class to draw, if all have as many."""
    smallest = min(counts, key=lambda label: counts[label])
    most = counts[smallest]
    return int(
        checks.number(
            value,
            name,
            expected="a whole number from 1 to the size of the smallest "
            f"class, {most} of {smallest!r}",
            valid=lambda n: 1 <= n <= most and n.is_integer(),
        )
    )


class Part(NamedTuple):
    """Some records."""

    split: str
    rows: np.ndarray | None = None


def divide(
    splits: Collection[str], train_labels: Callable[[], np.ndarray]
) -> dict[str, Part]:
    """Divide records into training, validation and test.

    What a data set lacks is taken from its training records, as large a share
    of every class, and always the same records. Where it has no test split,
    its validation split is for testing.
    """
    held_out = [name for name in ("validation", "test") if name in splits]
    if len(held_out) == 2:
        return {name: Part(name) for name in ("train", *held_out)}
    labels = train_labels()
    rows, parts = np.arange(len(labels)), {}
    if held_out:
        parts["test"] = Part(held_out[0])
    else:
        rows, drawn = set_aside(labels, TEST_SHARE)
        parts["test"] = Part("train", drawn)
    rows, drawn = (rows[x] for x in set_aside(labels[rows], VALIDATION_SHARE))
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
    """Draw some of the training records, of every class."""
    rows = np.arange(len(labels)) if rows is None else rows
    labels = labels[rows]
    classes, counts = np.unique(labels, return_counts=True)

    def number(size):
        return max(1, round(fraction * size)) if shots is None else shots

    if shots is not None:
        found = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        shots = check_draw(shots, found, "shots")
    return np.sort(rows[draw_rows(labels, number, seed)])
