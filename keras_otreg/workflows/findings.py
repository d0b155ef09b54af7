"""What can be said of the predictions on pictures."""

import dataclasses
import math
from typing import Any

import numpy as np

# From which probability of so large a difference by chance it is none.
DOUBT = 0.05


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two networks on the same pictures.

    Attributes:
        right: How many pictures the first one reads.
        other: How many the second one reads.
        count: How many there are.
        only: Pictures that only the first one reads, and only the second.
        chance: How often networks that are equally good would differ as much.
    """

    right: int
    other: int
    count: int
    only: tuple[int, int]
    chance: float

    @property
    def verdict(self) -> str:
        """`"better"`, `"worse"` or `"open"`."""
        if self.chance > DOUBT:
            return "open"
        return "better" if self.right > self.other else "worse"


def is_right(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class is the label, of shape `(pictures,)`."""
    return probabilities.argmax(axis=-1) == labels


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of pictures whose most probable class is their label."""
    return float(np.mean(is_right(probabilities, labels)))


def compared(
    probabilities: np.ndarray, other: np.ndarray, labels: np.ndarray
) -> Comparison:
    """Compares two networks by McNemar's exact test.

    Args:
        probabilities: Of the first network, `(pictures, classes)`.
        other: Of the second.
        labels: The classes, of shape `(pictures,)`.

    Returns:
        The `Comparison`.
    """
    first, second = is_right(probabilities, labels), is_right(other, labels)
    only = int((first & ~second).sum()), int((second & ~first).sum())
    differ = sum(only)
    tail = sum(math.comb(differ, k) for k in range(min(only) + 1))
    return Comparison(
        int(first.sum()),
        int(second.sum()),
        len(labels),
        only,
        # Whole numbers: of 1024 pictures on, their powers are no floats.
        min(1.0, 2 * tail / 2**differ),
    )


def confusion(
    probabilities: np.ndarray, labels: np.ndarray, classes: int
) -> np.ndarray:
    """How many pictures of each class (rows) are taken for each (columns)."""
    taken_for = labels * classes + probabilities.argmax(axis=-1)
    counts = np.bincount(taken_for, minlength=classes * classes)
    return counts.reshape(classes, classes)


def examples(
    probabilities: np.ndarray, labels: np.ndarray, right: bool, most: int
) -> list[dict[str, Any]]:
    """Pictures that a network is most certain of, rightly or wrongly.

    Of those that it reads there are some of each class.

    Args:
        probabilities: Of shape `(pictures, classes)`.
        labels: Of shape `(pictures,)`.
        right: Whether those that it reads are wanted.
        most: How many at most.

    Returns:
        For each its `row`, the `label`, what it is taken for (`taken_for`) and
        how probable that is (`share`).
    """
    taken_for, share = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
    rows = np.flatnonzero(is_right(probabilities, labels) == right)
    rows = rows[np.argsort(-share[rows], kind="stable")]
    if right:
        # First the surest of each class, then the second of each.
        found = labels[rows]
        turn = [np.sum(found[:k] == found[k]) for k in range(len(rows))]
        rows = rows[np.argsort(turn, kind="stable")]
    return [
        {
            "row": int(row),
            "label": int(labels[row]),
            "taken_for": int(taken_for[row]),
            "share": float(share[row]),
        }
        for row in rows[:most]
    ]
