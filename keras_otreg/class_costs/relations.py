"""Costs between classes without features, and what follows from costs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.ot import Sinkhorn, TransportProblem, transport_plan

UNITS = ("max", "mean", "none")


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
            each class is given. 0 for Co-Tuning's estimate.

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

    `R`, of shape `(source classes, target classes)`, is what `conditional`
    returns.

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

    Of vectors `(source classes, d)` and `(target classes, d)`, such as word
    vectors, it returns costs in [0, 2], of shape `(source classes, target
    classes)`. A vector of zeros has cost 1 to every other.

    Example:
        ```python
        cat, dog, car = [1.0, 0.1], [0.9, 0.2], [0.0, 1.0]
        C = class_costs.from_embeddings([cat, car], [dog])  # near, far
        ```
    """
    one, other = (
        checks.finite_array(np.asarray(x, float), name, least_rank=2)
        for x, name in ((source, "source"), (target, "target"))
    )
    checks.equal_features(one.shape, other.shape)
    one, other = (keras.utils.normalize(x, axis=1) for x in (one, other))
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

    Each target class sends its mass to the source classes that are near.

    Args:
        costs: Costs of shape `(source classes, target classes)`.
        plan: A plan of that shape in place of the costs, such as the mean plan
            of a `ClassTransport`.
        target_shares: Mass of each target class; equal if not given.
        epsilon: Entropic strength in units of the mean cost.
        rho: Price of unequal shares, likewise: near zero they are free, towards
            infinity uniform.

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
