"""Multi-kernel maximum mean discrepancy between classes."""

from typing import Any

import numpy as np

from keras_otreg.class_costs.groups import (
    class_pairs,
    squared_distances,
    sums_by_group,
)
from keras_otreg.ot.gaussian import BANK

SAMPLES_FOR_THE_MEDIAN = 1000


def mkmmd(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    unbiased: bool = False,
) -> np.ndarray:
    """Squared maximum mean discrepancy between each pair of classes.

    The kernel is the mean of five Gaussians, `exp(-d^2 / (2 s^2))`, with `s^2`
    at 1/4 to 4 times the median squared distance between source and target.
    This is the cost that the paper calls fc7MKMMD; its own mixture of kernels
    is not known, this one is fixed.

    Args:
        source_features: Array of shape `(source samples, ...)`.
        source_labels: Class of each source sample.
        target_features: Array of shape `(target samples, ...)`.
        target_labels: Class of each target sample.
        unbiased: Whether to leave a sample's kernel with itself out of the
            means. Estimates below zero are then set to zero.

    Returns:
        Costs of shape `(source classes, target classes)`, by sorted label.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.mkmmd(*source, *target)
        ```

    References:
        Lu, Chen and Saidi (2017), arXiv 1709.02995. Gretton et al., "A kernel
        two-sample test" (2012).
    """
    source, target = class_pairs(
        source_features, source_labels, target_features, target_labels
    )
    scale = _median_squared_distance(source, target)

    def within(group):
        sums = _kernel(group, group, scale).sum(dtype=np.float64)
        count = len(group)
        if unbiased and count > 1:
            return (sums - count) / (count * (count - 1))
        return sums / count**2

    within_source = np.array([within(group) for group in source])
    within_target = np.array([within(group) for group in target])
    together, sizes = np.concatenate(target), [len(t) for t in target]
    between = np.array(
        [
            sums_by_group(_kernel(s, together, scale), target) / len(s)
            for s in source
        ]
    ) / np.array(sizes)
    squared = within_source[:, None] + within_target - 2.0 * between
    return np.maximum(squared, 0.0)


def _kernel(x, y, scale):
    halved = squared_distances(x, y) / (-2.0 * scale)
    return sum(np.exp(halved / width) for width in BANK) / len(BANK)


def _median_squared_distance(source, target):
    """Median over evenly spaced samples, the same each time."""

    def some(groups):
        samples = np.concatenate(groups)
        step = -(-len(samples) // SAMPLES_FOR_THE_MEDIAN)
        return samples[::step]

    return (
        float(np.median(squared_distances(some(source), some(target)))) or 1.0
    )
