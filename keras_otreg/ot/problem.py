"""The transport problem: everything that changes the optimal plan."""

from typing import Any, NamedTuple

from keras import ops

from keras_otreg import checks
from keras_otreg.ot.numerics import at_least_float32

EXPECTED = "a TransportProblem(C, a, b, epsilon)"


class TransportProblem(NamedTuple):
    """Entropic optimal transport between two weighted sets of points.

    The optimal plan minimises `<P, C> + epsilon KL(P | a b^T)` over the plans
    with marginals `a` and `b`. With `rho`, a marginal may be violated at the
    price of `rho KL(P 1 | a)`. Leading axes hold independent problems.

    Attributes:
        C: Ground cost of shape `(..., n, m)`, non-negative.
        a: Weights of the rows, of shape `(..., n)`; zeros are allowed.
        b: Weights of the columns, of shape `(..., m)`, of the same sum.
        epsilon: Entropic strength in the units of `C`, shape `()` or `(...)`.
        rho: `None` for exact marginals; else the price of a violation in the
            units of `C`, as one value or a pair (rows, columns) in which
            `None` keeps that side exact.

    Example:
        ```python
        problem = TransportProblem(C, ops.ones(5) / 5, ops.ones(7) / 7, 0.05)
        ```
    """

    C: Any
    a: Any
    b: Any
    epsilon: Any
    rho: Any = None


def prepared(problem: TransportProblem) -> TransportProblem:
    """Returns the problem as tensors of one dtype, with `rho` as a pair.

    Raises:
        ValueError: If it is none, its shapes do not fit, or a number in it is
            out of range. Values of tensors are not looked at.
    """
    checks.instance_of(problem, TransportProblem, "problem", EXPECTED)
    checks.strength(problem.epsilon)
    C = at_least_float32(problem.C)

    def like_cost(value):
        return None if value is None else ops.convert_to_tensor(value, C.dtype)

    a, b = like_cost(problem.a), like_cost(problem.b)
    checks.weights_of_costs(C, a, b)
    rho = tuple(map(like_cost, checks.prices(problem.rho)))
    return TransportProblem(C, a, b, like_cost(problem.epsilon), rho)
