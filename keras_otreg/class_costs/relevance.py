"""Scaled costs, and the shares of source classes that are relevant by them."""

from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.ot import Sinkhorn, TransportProblem, transport_plan

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


def shares(
    costs: Any = None,
    *,
    plan: Any = None,
    target_shares: Any = None,
    epsilon: float = 0.1,
    rho: float = 0.01,
) -> np.ndarray:
    """Mass that a transport plan between classes gives each source class.

    Each target class sends its mass to the source classes that are near; a
    price `rho` holds what these receive near uniform.

    Args:
        costs: Costs of shape `(source classes, target classes)`.
        plan: A plan of that shape in place of the costs, such as the mean plan
            of a `ClassTransport`: its row sums are the shares.
        target_shares: Mass of each target class; equal if not given.
        epsilon: Entropic strength in units of the mean cost.
        rho: Price of unequal shares, in units of the mean cost: near zero they
            are free, towards infinity uniform.

    Returns:
        Shares of shape `(source classes,)`, of sum one.

    Example:
        ```python
        C = class_costs.mkmmd(*source_features, *target_features)
        data = otreg.data.paired(
            target, source, source_shares=class_costs.shares(C)
        )
        ```

    References:
        Ge and Yu, "Borrowing treasures from the wealthy: deep transfer
        learning through selective joint fine-tuning" (CVPR 2017).
    """
    if (costs is None) == (plan is None):
        raise checks.invalid("either costs or a plan", "both, or neither")
    if plan is None:
        plan = plan_between(costs, target_shares, epsilon, rho)
    mass = checks.cost_matrix(plan, "plan").astype(float).sum(axis=1)
    return mass / mass.sum()


def plan_between(
    costs: Any,
    target_shares: Any = None,
    epsilon: float = 0.1,
    rho: float = 0.01,
) -> np.ndarray:
    """Return the plan between classes whose row sums are the `shares`."""
    C = checks.cost_matrix(costs, "costs").astype(float)
    rows, columns = C.shape
    b = np.ones(columns) if target_shares is None else target_shares
    b = checks.class_shares(b, columns, "target_shares")
    checks.positive(epsilon, "epsilon")
    checks.positive(rho, "rho")
    a, C = np.full(rows, 1.0 / rows), C / (C.mean() or 1.0)
    problem = TransportProblem(C, a, b, epsilon, (rho, None))
    P = transport_plan(problem, Sinkhorn()(problem))
    return keras.ops.convert_to_numpy(P)
