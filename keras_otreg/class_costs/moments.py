"""Costs from the means and covariances of classes."""

from typing import Any

import numpy as np

from keras_otreg.class_costs.groups import (
    by_class,
    class_pairs,
    squared_distances,
)
from keras_otreg.class_costs.knowledge import from_embeddings


def centroid(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """Euclidean distance between the means of each pair of classes.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.centroid(*source, *target)
        ```
    """
    source, target = class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    return np.sqrt(squared_distances(_means(source), _means(target)))


def cosine(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """One minus the cosine between the means of each pair of classes.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.cosine(*source, *target)
        ```
    """
    # Angles are about the origin as it is: nothing is centred here.
    source = by_class(source_features, source_labels, "source")
    target = by_class(target_features, target_labels, "target")
    return from_embeddings(_means(source), _means(target))


def bures(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
) -> np.ndarray:
    """Squared 2-Wasserstein distance between Gaussian fits of the classes.

    `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^(1/2) S2 S1^(1/2))^(1/2)`. The last
    trace is the nuclear norm of the product of the centred samples, so no
    covariance matrix is ever formed.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.bures(*source, *target)
        ```

    References:
        Alvarez-Melis and Fusi, "Geometric dataset distances via optimal
        transport" (2020), for its use between classes.
    """
    source, target = class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    distances = squared_distances(_means(source), _means(target))
    source, target = _factors(source), _factors(target)
    variances = [[(x * x).sum() for x in groups] for groups in (source, target)]
    overlaps = np.array(
        [[_nuclear_norm(s @ t.T) for t in target] for s in source]
    )
    spread = np.array(variances[0])[:, None] + np.array(variances[1])
    return np.maximum(distances + spread - 2.0 * overlaps, 0.0)


def _nuclear_norm(matrix):
    """Sum of the singular values; of the small side's Gram matrix, faster."""
    matrix = matrix.astype(np.float64)
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    eigenvalues = np.linalg.eigvalsh(wide @ wide.T)
    return np.sqrt(np.maximum(eigenvalues, 0.0)).sum()


def _means(groups):
    return np.stack([group.mean(axis=0) for group in groups])


def _factors(groups):
    """Matrices `X` such that the covariance of a class is `X^T X`."""
    return [(g - g.mean(axis=0)) / np.sqrt(len(g)) for g in groups]
