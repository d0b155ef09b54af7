"""Costs between classes from predictions, names, embeddings, or at random."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks


def conditional(
    probabilities: Any, labels: Any, *, smoothing: float = 1.0
) -> np.ndarray:
    """Mean prediction of a source classifier on each target class.

    Column `j` estimates the probability of each source class for a sample of
    target class `j`, and needs no source data.

    Args:
        probabilities: Predictions of shape `(samples, source classes)`.
        labels: Target class of each sample.
        smoothing: How many samples with the mean prediction of all classes
            each class is given besides its own. 0 for Co-Tuning's estimate.

    Returns:
        Probabilities of shape `(source classes, target classes)`, by sorted
        label; columns sum to one.

    Example:
        ```python
        seen = class_costs.extract(model, "head", target_data)
        R = class_costs.conditional(*seen)
        loss = otreg.losses.ClassConditional(R)
        ```

    References:
        You et al., "Co-Tuning for transfer learning" (NeurIPS 2020).
    """
    probabilities = np.asarray(probabilities, np.float64)
    labels = np.asarray(labels)
    checks.one_label_each(probabilities, labels, "target")
    checks.finite_array(probabilities, "probabilities", least_rank=2)
    checks.non_negative(smoothing, "smoothing")
    labels = labels.reshape(-1)
    classes = np.unique(labels)
    sums = np.stack([probabilities[labels == c].sum(axis=0) for c in classes])
    counts = np.array([(labels == c).sum() for c in classes])[:, None]
    mean = (sums / counts).mean(axis=0)
    smoothed = (sums + smoothing * mean) / (counts + smoothing)
    return (smoothed / smoothed.sum(axis=1, keepdims=True)).T


def from_conditional(conditional: Any) -> np.ndarray:
    """Costs from the probabilities of source classes given target classes.

    The cost is minus the pointwise mutual information, `-log(R[i, j] /
    mean(R[i]))`, moved such that the least cost is zero.

    Args:
        conditional: `R` of shape `(source classes, target classes)`, above
            zero, as `conditional` returns it with smoothing.

    Example:
        ```python
        R = np.array([[0.8, 0.1], [0.2, 0.9]])
        C = class_costs.from_conditional(R)  # least on the diagonal
        ```
    """
    R = checks.conditional(np.asarray(conditional, np.float64))
    R = np.maximum(R, np.finfo(np.float32).tiny)
    costs = -np.log(R / R.mean(axis=1, keepdims=True))
    return costs - costs.min()


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
    one, other = (keras.utils.normalize(x, axis=1) for x in (source, target))
    return np.clip(1.0 - one @ other.T, 0.0, 2.0)


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
