"""Problems whose strength is in units of their own mean cost."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_otreg.ot.function_cost import as_cost
from keras_otreg.ot.numerics import (
    column,
    frozen,
    safe_divide,
    sum_of_columns,
)
from keras_otreg.ot.objectives import divergence_of_costs
from keras_otreg.ot.problem import TransportProblem


def mean_cost(C: Any, a: Any, b: Any) -> Any:
    """Cost of the uniform plan `a b^T`, of shape `(...)`, held constant."""
    rows = sum_of_columns(C, b)
    return frozen(ops.sum(a * rows, axis=-1))


def relative_problem(
    C: Any, a: Any, b: Any, epsilon: float, rho: Any = None
) -> TransportProblem:
    """A problem for the solver alone: frozen, and scaled to a mean cost of 1.

    Args:
        C: Costs of shape `(..., n, m)`, in any unit.
        a: Weights of shape `(..., n)`.
        b: Weights of shape `(..., m)`.
        epsilon: Entropic strength in units of the mean cost.
        rho: Price of a violated marginal in units of the mean cost.

    Returns:
        A `TransportProblem` with the plan of `(C, a, b)`.
    """
    C = frozen(ops.convert_to_tensor(C))
    scale = column(column(safe_divide(1.0, mean_cost(C, a, b))))
    return TransportProblem(C * scale, a, b, epsilon, rho)


def relative_divergence(
    x: Any,
    y: Any,
    cost: Callable[[Any, Any], Any],
    epsilon: float,
    solver: Any,
    weights: tuple[Any, Any],
) -> Any:
    """`sinkhorn_divergence` with `epsilon` in units of the mean cost.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        cost: A cost function.
        epsilon: Entropic strength in units of the mean cost of `x` to `y`.
        solver: A solver.
        weights: Weights of `x` and of `y`.

    Returns:
        Values of shape `(...)`, in the units of the cost.
    """
    a, b = weights
    cost = as_cost(cost)
    C = cost(x, y), cost(x, x), cost(y, y)
    scale = mean_cost(C[0], a, b)
    relative = tuple(safe_divide(c, column(column(scale))) for c in C)
    return scale * divergence_of_costs(relative, a, b, epsilon, solver)
