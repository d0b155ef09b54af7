"""Sinkhorn's half steps in the log domain, balanced and relaxed."""

from typing import Any

from keras import ops

from keras_otreg.ot.numerics import (
    LARGEST_EXPONENT,
    column,
    maximum,
    minimum,
    row,
    safe_log,
    softmin,
)
from keras_otreg.ot.problem import TransportProblem


def damping(epsilon: Any, rho: Any) -> Any:
    """Factor of a potential where marginals may be violated; 1 if not."""
    return 1.0 if rho is None else 1.0 / (1.0 + epsilon / column(rho))


def conjugate(potential: Any, rho: Any) -> Any:
    """Contribution of a unit of mass to the dual at a potential."""
    if rho is None:
        return potential
    rho = column(rho)
    # Of a point without mass it may be huge, but 0 times it must stay 0.
    largest = LARGEST_EXPONENT - ops.log(maximum(rho, 1.0))
    # 1 - exp would cancel where rho is large.
    return -rho * ops.expm1(minimum(-potential / rho, largest))


def translation(problem: TransportProblem, f: Any, g: Any) -> Any:
    """Best constant to move from `g` to `f`; zero if a side is exact.

    The plan does not change with it, the mass does. Without this step the
    total mass of a relaxed plan converges at the slow rate `epsilon / rho`.

    References:
        Séjourné, Vialard and Peyré, "Faster unbalanced optimal transport:
        translation invariant Sinkhorn and 1-D Frank-Wolfe" (2022).
    """
    rho_a, rho_b = problem.rho
    if rho_a is None or rho_b is None:
        return ops.zeros_like(f[..., 0])
    log_a, log_b = safe_log(problem.a), safe_log(problem.b)
    rows = ops.logsumexp(log_a - f / column(rho_a), axis=-1)
    columns = ops.logsumexp(log_b - g / column(rho_b), axis=-1)
    return (rows - columns) * rho_a * rho_b / (rho_a + rho_b)


def c_transforms(
    problem: TransportProblem, g: Any, epsilon: Any
) -> tuple[Any, Any, Any]:
    """One iteration in the log domain, at a given `epsilon`.

    Returns the new `f`, the new `g`, and the `f` that would have made the row
    marginal of the old `g` exact.
    """
    rho_a, rho_b = problem.rho
    to_rows = problem.C - row(g)
    exact = softmin(epsilon, to_rows, row(safe_log(problem.b)), axis=-1)
    f = damping(column(epsilon), rho_a) * exact
    f = f + column(translation(problem, f, g))
    to_columns = problem.C - column(f)
    g = softmin(epsilon, to_columns, column(safe_log(problem.a)), axis=-2)
    return f, damping(column(epsilon), rho_b) * g, exact


def completed(problem: TransportProblem, f: Any, g: Any) -> Any:
    """Set potentials of rows without mass to those that the columns imply.

    They are in no marginal, so that an iteration may end before they are right;
    yet the gradient in their weights is made of them.
    """
    empty = problem.a <= 0.0

    def moved():
        log_b = row(safe_log(problem.b))
        exact = softmin(problem.epsilon, problem.C - row(g), log_b, axis=-1)
        pull = damping(column(problem.epsilon), problem.rho[0])
        return ops.where(empty, pull * exact, f)

    return ops.cond(ops.any(empty), moved, lambda: f)
