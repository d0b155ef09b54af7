"""Values of optimal transport, and their gradients."""

from typing import Any

from keras import ops

from keras_otreg.ot import costs, plan
from keras_otreg.ot import numerics as num
from keras_otreg.ot.plan import TransportProblem, TransportSolution
from keras_otreg.ot.scaling_loop import conjugate
from keras_otreg.ot.solvers import Sinkhorn


def transport_cost(problem: TransportProblem, solution: TransportSolution):
    """The cost of the plan, `<P, C>`, with the plan held constant.

    Its gradient in `C` is `P`, as in Representation Transfer by Optimal
    Transport; it is exact for the plan of unregularised transport. Values have
    the shape `(...)`.

    Example:
        ```python
        value = transport_cost(problem, Sinkhorn()(problem))
        ```
    """
    P = ops.stop_gradient(plan.transport_plan(problem, solution))
    return ops.sum(P * plan.prepared(problem).C, axis=(-2, -1))


def regularized_cost(problem: TransportProblem, solution: TransportSolution):
    """The optimum, `<P, C> + epsilon KL(P | a b^T)`, by its dual.

    With relaxed marginals it includes `rho KL(P 1 | a)`. The potentials are
    held constant; by the envelope theorem the gradients in `C`, `a` and `b`
    are exact at the optimum all the same: `P` in `C`, and `f` in `a`. Values
    have the shape `(...)`.

    Example:
        ```python
        value = regularized_cost(problem, Sinkhorn()(problem))
        ```

    References:
        Peyré and Cuturi, "Computational optimal transport" (2019), section
        4.4. Feydy et al., "Interpolating between optimal transport and MMD
        using Sinkhorn divergences" (2019), for the gradients.
    """
    problem = plan.prepared(problem)
    f, g = num.frozen((solution.f, solution.g))
    a, b, (rho_a, rho_b) = problem.a, problem.b, problem.rho
    P = plan.transport_plan(problem, TransportSolution(f, g, None, None))
    reference = ops.sum(a, axis=-1) * ops.sum(b, axis=-1)
    return (
        ops.sum(a * conjugate(f, rho_a), axis=-1)
        + ops.sum(b * conjugate(g, rho_b), axis=-1)
        - problem.epsilon * (ops.sum(P, axis=(-2, -1)) - reference)
    )


def sinkhorn_divergence(
    x: Any,
    y: Any,
    cost: Any,
    epsilon: Any,
    solver: Any = None,
    *,
    a: Any = None,
    b: Any = None,
    rho: Any = None,
) -> Any:
    """Debiased transport `(...)` between two clouds; zero between equal ones.

    `OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2`, each term a `regularized_cost`.
    It lies between optimal transport (`epsilon` to 0) and a maximum mean
    discrepancy (`epsilon` to infinity), and is non-negative for the costs of
    this package that come from a kernel (Euclidean, squared, cityblock).

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        cost: A cost function, or the name of one.
        epsilon: Entropic strength in the units of the cost.
        solver: `Sinkhorn()` if not given.
        a: Weights of `x`, of shape `(..., n)`; uniform if not given.
        b: Weights of `y`, of shape `(..., m)`; uniform if not given.
        rho: See `TransportProblem`.

    Example:
        ```python
        x, y = ops.ones((5, 2)), ops.zeros((7, 2))
        value = sinkhorn_divergence(x, y, "euclidean", epsilon=0.05)
        ```

    References:
        Feydy et al. (2019); Séjourné et al., "Sinkhorn divergences for
        unbalanced optimal transport" (2019), for `rho`.
    """
    x, y = num.at_least_float32(x), num.at_least_float32(y)
    a = uniform_weights(x) if a is None else ops.cast(a, x.dtype)
    b = uniform_weights(y) if b is None else ops.cast(b, y.dtype)
    C = _costs(costs.get(cost), x, y)
    return _divergence(C, a, b, epsilon, solver or Sinkhorn(), rho)


def relative_divergence(x, y, cost, epsilon, solver, a, b):
    """`sinkhorn_divergence` with `epsilon` in units of the mean cost."""
    C = _costs(cost, x, y)
    scale = plan.mean_cost(C[0], a, b)
    relative = [num.safe_divide(c, num.column(num.column(scale))) for c in C]
    return scale * _divergence(relative, a, b, epsilon, solver)


def _costs(cost, x, y):
    cost = costs.as_cost(cost)
    return cost(x, y), cost(x, x), cost(y, y)


def _divergence(C, a, b, epsilon, solver, rho=None):
    pairs = zip(C, ((a, b), (a, a), (b, b)), strict=True)
    problems = [TransportProblem(c, *w, epsilon, rho) for c, w in pairs]
    between, *within = (regularized_cost(p, solver(p)) for p in problems)
    masses = ops.square(ops.sum(a, axis=-1) - ops.sum(b, axis=-1))
    return between - sum(within) / 2 + epsilon * masses / 2


def uniform_weights(points: Any) -> Any:
    """Equal weights of sum one for points of shape `(..., n, d)`."""
    ones = ops.ones_like(points[..., 0])
    return ones / ops.sum(ones, axis=-1, keepdims=True)
