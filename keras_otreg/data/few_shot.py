"""A few labelled samples of every class."""

from typing import Any, NamedTuple

import numpy as np

from keras_otreg import checks


class Labelled(NamedTuple):
    """Samples and their labels.

    Attributes:
        x: Samples of shape `(n, ...)`.
        y: Labels of shape `(n,)`.
    """

    x: np.ndarray
    y: np.ndarray


def few_shot(
    x: Any, y: Any, per_class: int, seed: int = 0
) -> tuple[Labelled, Labelled]:
    """Draws equally many samples of every class, and returns the others too.

    Args:
        x: Samples of shape `(n, ...)`.
        y: Integer labels of shape `(n,)`.
        per_class: How many samples of each class to draw.
        seed: Seed of the draw.

    Returns:
        Two `Labelled` pairs `(x, y)`: the samples drawn, in the order of
        their classes, and the others in the order they came in. No sample is
        in both.

    Raises:
        ValueError: If a class has fewer than `per_class` samples.

    Example:
        ```python
        (x_train, y_train), (x_rest, y_rest) = otreg.data.few_shot(x, y, 2)
        ```
    """
    x, y = np.asarray(x), np.asarray(y)
    checks.one_label_each(x, y, "data")
    classes, counts = np.unique(y, return_counts=True)
    smallest = int(counts.min())
    per_class = checks.number(
        per_class,
        "per_class",
        expected="a whole number from 1 to the size of the smallest class, "
        f"{smallest}",
        valid=lambda n: 1 <= n <= smallest and n == int(n),
    )
    rng = np.random.default_rng(seed)
    drawn = np.concatenate(
        [
            rng.permutation(np.flatnonzero(y == label))[: int(per_class)]
            for label in classes
        ]
    )
    others = np.setdiff1d(np.arange(len(y)), drawn)
    return Labelled(x[drawn], y[drawn]), Labelled(x[others], y[others])
