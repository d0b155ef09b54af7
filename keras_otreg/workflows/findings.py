"""Scores and comparisons of predictions on pictures."""

import dataclasses
import math
from typing import Any

import numpy as np

# Level of significance of McNemar's test.
LEVEL = 0.05
# Probabilities below it count as this: their logarithm is finite.
LEAST = 1e-7


@dataclasses.dataclass(frozen=True)
class McNemar:
    """Two networks on the same pictures, compared by McNemar's exact test.

    `correct` and `other` of `count` pictures are classified correctly by the
    first and by the second network, `only` by one of them alone.
    """

    correct: int
    other: int
    count: int
    only: tuple[int, int]
    p_value: float

    @property
    def verdict(self) -> str:
        """`"better"`, `"worse"` or `"open"`."""
        if self.p_value > LEVEL:
            return "open"
        return "better" if self.correct > self.other else "worse"


def is_correct(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class is the label, of shape `(pictures,)`."""
    return probabilities.argmax(axis=-1) == labels


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of pictures whose most probable class is their label."""
    return float(np.mean(is_correct(probabilities, labels)))


def score(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy and minus the cross-entropy: the larger score is better."""
    own = probabilities[np.arange(len(labels)), labels]
    crossentropy = -np.log(np.maximum(own, LEAST)).mean()
    return accuracy(probabilities, labels), -float(crossentropy)


def compared(
    probabilities: np.ndarray, other: np.ndarray, labels: np.ndarray
) -> McNemar:
    """Compare two networks by their probabilities, `(pictures, classes)`."""
    first, second = is_correct(probabilities, labels), is_correct(other, labels)
    only = int((first & ~second).sum()), int((second & ~first).sum())
    differ = sum(only)
    tail = sum(math.comb(differ, k) for k in range(min(only) + 1))
    return McNemar(
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
    """Counts of pictures by class (rows) and predicted class (columns)."""
    predicted = labels * classes + probabilities.argmax(axis=-1)
    counts = np.bincount(predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def examples(
    probabilities: np.ndarray, labels: np.ndarray, correct: bool, most: int
) -> list[dict[str, Any]]:
    """The rows of at most some pictures with the highest probabilities.

    Correctly classified pictures are taken from all classes in turn; else
    wrongly classified ones are returned. For each picture there is its `row`,
    the `label`, the class `predicted` and its `probability`.
    """
    predicted = probabilities.argmax(axis=-1)
    probability = probabilities.max(axis=-1)
    rows = np.flatnonzero(is_correct(probabilities, labels) == correct)
    rows = rows[np.argsort(-probability[rows], kind="stable")]
    if correct:
        # First the surest of each class, then the second of each.
        found = labels[rows]
        turn = [np.sum(found[:k] == found[k]) for k in range(len(rows))]
        rows = rows[np.argsort(turn, kind="stable")]
    return [
        {
            "row": int(row),
            "label": int(labels[row]),
            "predicted": int(predicted[row]),
            "probability": float(probability[row]),
        }
        for row in rows[:most]
    ]
