"""Features grouped by class."""

from typing import Any

import numpy as np

from keras_otreg import checks


def by_class(features: Any, labels: Any, name: str) -> list[np.ndarray]:
    """Split features into one array `(samples, d)` for each class."""
    features = np.asarray(features)
    labels = np.asarray(labels).reshape(-1)
    checks.one_label_each(features, labels, name)
    features = features.reshape(len(features), -1)
    if features.dtype != np.float64:
        features = features.astype(np.float32)
    checks.finite_array(features, f"{name}_features", least_rank=2)
    return [features[labels == label] for label in np.unique(labels)]


def class_pairs(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features of the source classes and of the target classes.

    All are moved by one vector to be about the origin, where the rounding of
    distances is least.
    """
    source = by_class(source_features, source_labels, "source")
    target = by_class(target_features, target_labels, "target")
    checks.equal_features(source[0].shape, target[0].shape)
    means = [np.mean(group, axis=0) for group in (*source, *target)]
    middle = np.mean(means, axis=0)
    return [x - middle for x in source], [x - middle for x in target]


def sums_by_group(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Sums values of shape `(n, samples)` over `n` and over each group."""
    starts = np.cumsum([0] + [len(group) for group in groups[:-1]])
    return np.add.reduceat(values.sum(axis=0, dtype=np.float64), starts)


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances of shape `(n, m)`, of points about the origin."""
    norms = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)
    return np.maximum(norms - 2.0 * (x @ y.T), 0.0)
