"""An observation in numbers, as they go into the logs."""

from typing import Any

import numpy as np
from keras import ops

from keras_otreg.losses.solved_plan import NEURONS, SolvedPlan
from keras_otreg.models.observation import Observation
from keras_otreg.ot import permuted_fraction
from keras_otreg.ot.plan import entropy_of


def readings(observation: Observation) -> dict[str, float]:
    """All numbers of an observation, under the names that are logged."""
    logs: dict[str, Any] = {}
    for name, plan in observation.plans.items():
        numbers = of_plan(plan)
        logs |= {f"{name}_{key}": value for key, value in numbers.items()}
    for name, share in observation.shares.items():
        logs[f"{name}_gradient_share"] = share
    return logs


def of_plan(plan: SolvedPlan) -> dict[str, float]:
    """What can be said of a plan: the mean, or the worst, of several.

    Returns:
        `marginal_error` and `iterations` of what a solver made; `entropy`,
        `mass`; and `permuted` between layers of equal width.
    """
    numbers = {}
    if plan.solver is not None:
        numbers["marginal_error"] = _number(plan.marginal_error, np.max)
        numbers["iterations"] = _number(plan.num_iterations, np.max)
    numbers["entropy"] = _number(entropy_of(plan.P), np.mean)
    numbers["mass"] = _number(ops.sum(plan.P, axis=(-2, -1)), np.mean)
    if plan.between == NEURONS and plan.P.shape[-2] == plan.P.shape[-1]:
        numbers["permuted"] = _number(permuted_fraction(plan.P), np.mean)
    return numbers


def mean_plan(plan: SolvedPlan) -> np.ndarray:
    """The plan of shape `(n, m)`, averaged over samples that have their own."""
    P = ops.convert_to_numpy(plan.P)
    return P.reshape((-1, *P.shape[-2:])).mean(axis=0)


def _number(values: Any, summary: Any) -> float:
    return float(summary(ops.convert_to_numpy(values)))
