"""Transport problems and their solutions."""

import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.ot.numerics import (
    at_least_float32,
    column,
    frozen,
    safe_divide,
    sum_of_columns,
)

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


class TransportSolution(NamedTuple):
    """Dual potentials, and how far they are from optimal.

    The plan is `P = a b^T exp((f + g - C) / epsilon)`: points of zero weight
    need no special case, and their potentials are finite.

    Attributes:
        f: Potentials of the rows, of shape `(..., n)`, in the units of `C`.
        g: Potentials of the columns, of shape `(..., m)`.
        num_iterations: Iterations until the tolerance was met, of shape
            `(...)`.
        marginal_error: L1 distance of both marginals of the plan of `f` and
            `g` from what they should be, of shape `(...)`. A solver that did
            not converge says so here, and nowhere else.

    Example:
        ```python
        solution = Sinkhorn()(problem)
        solution.f, solution.g, solution.marginal_error
        ```
    """

    f: Any
    g: Any
    num_iterations: Any
    marginal_error: Any


def prepared(problem: TransportProblem) -> TransportProblem:
    """Return the checked problem as tensors of one dtype, `rho` as a pair."""
    checks.instance_of(problem, TransportProblem, "problem", EXPECTED)
    if isinstance(problem.epsilon, (numbers.Real, np.ndarray)):
        for value in np.asarray(problem.epsilon).ravel().tolist():
            checks.positive(value, "epsilon")
    C = at_least_float32(problem.C)

    def like_cost(value):
        return None if value is None else ops.convert_to_tensor(value, C.dtype)

    a, b = like_cost(problem.a), like_cost(problem.b)
    _check_shapes(C, a, b)
    rho = tuple(map(like_cost, _marginal_penalties(problem.rho)))
    return TransportProblem(C, a, b, like_cost(problem.epsilon), rho)


def _check_shapes(C, a, b):
    shapes = tuple(tuple(x.shape) for x in (C, a, b))
    rows, columns = shapes[0][-2:] if len(shapes[0]) > 1 else (-1, -1)
    for shape, size in zip(shapes[1:], (rows, columns), strict=True):
        if not shape or shape[-1] != size and None not in (shape[-1], size):
            raise checks.invalid(
                "costs C of shape (..., n, m), weights a of shape (..., n) and "
                "b of shape (..., m)",
                "shapes {}, {} and {}".format(*shapes),
            )


def _marginal_penalties(rho):
    """Return the penalties of both marginals; `None` for one that is exact."""
    pair = rho if isinstance(rho, (tuple, list)) else (rho, rho)
    if len(pair) != 2:
        raise checks.invalid(
            "None, a price, or a pair of them, (rows, columns)",
            f"rho={rho!r}",
            argument="rho",
        )
    for value in pair:
        if isinstance(value, numbers.Real):
            expected = "None, or a number above 0"
            checks.number(value, "rho", expected, lambda x: x > 0)
    # An infinite penalty is an exact marginal.
    return tuple(
        None if isinstance(x, numbers.Real) and x == float("inf") else x
        for x in pair
    )


def mean_cost(C: Any, a: Any, b: Any) -> Any:
    """Cost of the uniform plan `a b^T`, of shape `(...)`, held constant."""
    return frozen(ops.sum(a * sum_of_columns(C, b), axis=-1))


def relative_problem(
    C: Any, a: Any, b: Any, epsilon: float
) -> TransportProblem:
    """Problem for a solver alone: held constant, scaled to a mean cost of 1."""
    C = frozen(ops.convert_to_tensor(C))
    scale = column(column(safe_divide(1.0, mean_cost(C, a, b))))
    return TransportProblem(C * scale, a, b, epsilon)


def initial_potentials(problem: TransportProblem, init: Any) -> tuple[Any, Any]:
    """Potentials to start from: zeros, with the `g` of `init` if given."""
    # Weights may have batch axes that the costs have not.
    f = ops.zeros_like(problem.C[..., 0] + problem.a + problem.b[..., :1])
    g = ops.zeros_like(problem.C[..., 0, :] + problem.b + f[..., :1])
    if init is None:
        return f, g
    return f, g + frozen(ops.convert_to_tensor(init[1], problem.C.dtype))
