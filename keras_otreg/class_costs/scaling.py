"""Scaling of costs."""

from typing import Any

import numpy as np

from keras_otreg import checks

UNITS = ("max", "mean", "none")


def normalise(costs: Any, by: str = "max") -> np.ndarray:
    """Divide costs by their largest value, or by their mean.

    Args:
        costs: Costs of shape `(source classes, target classes)`.
        by: `"max"`, `"mean"`, or `"none"` for the costs as they are.

    Example:
        ```python
        C = class_costs.normalise(cost_matrix, by="mean")
        loss = otreg.losses.ClassTransport(C)
        ```
    """
    costs = checks.cost_matrix(costs, "costs").astype(float)
    checks.one_of(by, UNITS, "by")
    units = {"max": costs.max(), "mean": costs.mean(), "none": 1.0}
    return costs / (units[by] or 1.0)


def sharpen(costs: Any, kappa: float = 1.0) -> np.ndarray:
    """Increase the contrast between near classes: `1 - exp(-kappa C)`.

    Args:
        costs: Costs of shape `(source classes, target classes)`.
        kappa: How soon a cost counts as far. Above 0.

    Example:
        ```python
        C = class_costs.sharpen(class_costs.normalise(cost_matrix), 5.0)
        ```

    References:
        Lv, Yang and Li, "Wasserstein distance rivals Kullback-Leibler
        divergence for knowledge distillation" (2024).
    """
    costs = checks.cost_matrix(costs, "costs").astype(float)
    return 1.0 - np.exp(-checks.positive(kappa, "kappa") * costs)
