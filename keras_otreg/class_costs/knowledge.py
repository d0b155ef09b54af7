"""Costs between classes from names, from embeddings, or at random."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_otreg import checks


def from_embeddings(source: Any, target: Any) -> np.ndarray:
    """One minus the cosine between vectors of the classes.

    Args:
        source: Vectors of shape `(source classes, d)`, such as word vectors.
        target: Vectors of shape `(target classes, d)`.

    Returns:
        Costs in [0, 2], of shape `(source classes, target classes)`. A vector
        of zeros has cost 1 to every other.

    Example:
        ```python
        cat, dog, car = [1.0, 0.1], [0.9, 0.2], [0.0, 1.0]
        C = class_costs.from_embeddings([cat, car], [dog])  # near, far
        ```
    """
    source, target = (
        checks.finite_array(np.asarray(x, float), name, least_rank=2)
        for x, name in ((source, "source"), (target, "target"))
    )
    checks.equal_features(source.shape, target.shape)
    norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in (source, target)]
    one, other = (np.where(n > 0.0, n, 1.0) for n in norms)
    return np.clip(1.0 - (source / one) @ (target / other).T, 0.0, 2.0)


def from_names(source: Sequence[str], target: Sequence[str]) -> np.ndarray:
    """Zero between classes of one name in any case, one between all others.

    The costs are of shape `(source classes, target classes)`.

    Example:
        ```python
        C = class_costs.from_names(["Cat", "dog"], ["cat"])  # [[0.], [1.]]
        ```
    """
    rows, columns = (
        np.array([name.strip().casefold() for name in names])
        for names in (source, target)
    )
    return (rows[:, None] != columns).astype(float)


def random(source: int, target: int, seed: int = 0) -> np.ndarray:
    """Uniform random costs in [0, 1), as a control.

    They are of shape `(source, target)`, the numbers of classes.

    Example:
        ```python
        C = class_costs.random(source=26, target=10, seed=1)
        ```
    """
    shape = checks.count(source, "source"), checks.count(target, "target")
    return np.random.default_rng(seed).random(shape)
