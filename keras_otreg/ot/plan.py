"""Transport problems, their solutions, and plans."""

import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.ot import numerics as num


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
        num_iterations: Iterations until the tolerance was met, `(...)`.
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
    expected = "a TransportProblem(C, a, b, epsilon)"
    checks.instance_of(problem, TransportProblem, "problem", expected)
    if isinstance(problem.epsilon, (numbers.Real, np.ndarray)):
        for value in np.asarray(problem.epsilon).ravel().tolist():
            checks.positive(value, "epsilon")
    C = num.at_least_float32(problem.C)

    def like_cost(value):
        return None if value is None else ops.convert_to_tensor(value, C.dtype)

    a, b = like_cost(problem.a), like_cost(problem.b)
    shapes = [tuple(x.shape) for x in (C, a, b)]
    rows, columns = shapes[0][-2:] if len(shapes[0]) > 1 else (-1, -1)
    for shape, size in zip(shapes[1:], (rows, columns), strict=True):
        if not shape or shape[-1] != size and None not in (shape[-1], size):
            raise checks.invalid(
                "costs C of shape (..., n, m), weights a of shape (..., n) and "
                "b of shape (..., m)",
                "shapes {}, {} and {}".format(*shapes),
            )
    rho = problem.rho
    pair = rho if isinstance(rho, (tuple, list)) else (rho, rho)
    if len(pair) != 2:
        raise checks.invalid(
            "None, a price, or a pair of them, (rows, columns)",
            f"rho={rho!r}",
            argument="rho",
        )
    expected, found = "None, or a number above 0", []
    for value in pair:
        if isinstance(value, numbers.Real):
            checks.number(value, "rho", expected, lambda x: x > 0)
            # An infinite penalty is an exact marginal.
            value = None if value == float("inf") else value
        found.append(like_cost(value))
    epsilon = like_cost(problem.epsilon)
    return TransportProblem(C, a, b, epsilon, tuple(found))


def mean_cost(C: Any, a: Any, b: Any) -> Any:
    """Cost of the uniform plan `a b^T`, of shape `(...)`, held constant."""
    return num.frozen(ops.sum(a * num.sum_of_columns(C, b), axis=-1))


def relative_problem(C: Any, a: Any, b: Any, epsilon: Any) -> TransportProblem:
    """Problem for a solver alone: held constant, scaled to a mean cost of 1."""
    C = num.frozen(ops.convert_to_tensor(C))
    scale = num.column(num.column(num.safe_divide(1.0, mean_cost(C, a, b))))
    return TransportProblem(C * scale, a, b, epsilon)


def initial_potentials(problem: TransportProblem, init: Any) -> tuple[Any, Any]:
    """Potentials to start from: zeros, with the `g` of `init` if given."""
    # Weights may have batch axes that the costs have not.
    f = ops.zeros_like(problem.C[..., 0] + problem.a + problem.b[..., :1])
    g = ops.zeros_like(problem.C[..., 0, :] + problem.b + f[..., :1])
    if init is None:
        return f, g
    return f, g + num.frozen(ops.convert_to_tensor(init[1], problem.C.dtype))


def density(problem: TransportProblem, f: Any, g: Any) -> Any:
    """The plan relative to `a b^T`, `exp((f + g - C) / epsilon)`."""
    epsilon = num.column(num.column(problem.epsilon))
    return num.bounded_exp((num.column(f) + num.row(g) - problem.C) / epsilon)


def transport_plan(problem: TransportProblem, solution: TransportSolution):
    """Transport plan `(..., n, m)`: the mass from each row to each column.

    Example:
        ```python
        P = transport_plan(problem, Sinkhorn()(problem))
        ```
    """
    problem = prepared(problem)
    relative = density(problem, solution.f, solution.g)
    return num.column(problem.a) * (num.row(problem.b) * relative)


def marginals(problem: TransportProblem, solution: TransportSolution):
    """Row sums and column sums of the plan, `(..., n)` and `(..., m)`.

    Example:
        ```python
        rows, columns = marginals(problem, Sinkhorn()(problem))
        ```
    """
    P = transport_plan(problem, solution)
    return ops.sum(P, axis=-1), ops.sum(P, axis=-2)


def optimal_mass(weights: Any, potential: Any, rho: Any) -> Any:
    """The marginal that is optimal at a potential: `weights` unless relaxed."""
    if rho is None:
        return weights
    return weights * num.bounded_exp(-potential / num.column(rho))


def marginal_error(problem: TransportProblem, f: Any, g: Any) -> Any:
    """L1 distance of both marginals of a plan from the optimal ones."""
    a, b, (rho_a, rho_b) = problem.a, problem.b, problem.rho
    relative = density(problem, f, g)
    # Products, not sums: a compiler would compute the exponentials twice.
    rows = a * num.sum_of_columns(relative, b) - optimal_mass(a, f, rho_a)
    columns = b * num.sum_of_rows(a, relative) - optimal_mass(b, g, rho_b)
    return ops.sum(ops.abs(rows), axis=-1) + ops.sum(ops.abs(columns), axis=-1)


def plan_entropy(problem: TransportProblem, solution: TransportSolution) -> Any:
    """Normalised entropy of the plan: 0 for a matching, 1 if it is uniform.

    It is one minus the mutual information of the plan over its largest
    possible value, the smaller entropy of the two marginals, and 0 where a side
    has one point. Its shape is `(...)`. Above 0.95 `epsilon` is too large.

    Example:
        ```python
        blur = plan_entropy(problem, Sinkhorn()(problem))
        ```
    """
    return entropy_of(transport_plan(problem, solution))


def entropy_of(P: Any) -> Any:
    """The `plan_entropy` of a plan of shape `(..., n, m)`."""
    P = num.safe_divide(P, ops.sum(P, axis=(-2, -1), keepdims=True))
    rows, columns = ops.sum(P, axis=-1), ops.sum(P, axis=-2)
    joint = -ops.sum(P * num.safe_log(P), axis=(-2, -1))
    entropy = [-ops.sum(w * num.safe_log(w), axis=-1) for w in (rows, columns)]
    information = entropy[0] + entropy[1] - joint
    largest = num.minimum(*entropy)
    certain = num.safe_divide(information, largest)
    # A side of one point has no entropy, but for rounding.
    normalised = ops.where(largest > 1e-6, 1.0 - certain, 0.0)
    return ops.clip(normalised, 0.0, 1.0)


def permuted_fraction(P: Any) -> Any:
    """Share of the points whose main partner is not the one of their index.

    It has the shape `(...)`. Between a network and what it has become it is 0
    where every neuron kept its place. Between networks that have nothing to do
    with each other it is about 1. Rows without mass do not count.

    Args:
        P: A plan of shape `(..., n, n)`.

    Raises:
        ValueError: If the plan is not square.

    Example:
        ```python
        P = transport_plan(problem, Sinkhorn()(problem))
        share = permuted_fraction(P)
        ```
    """
    P = ops.convert_to_tensor(P)
    checks.square(P.shape, "P")
    partners = ops.argmax(P, axis=-1)
    moved = ops.not_equal(partners, ops.arange(P.shape[-1], dtype="int32"))
    present = ops.cast(ops.sum(P, axis=-1) > 0.0, P.dtype)
    moved = ops.cast(moved, P.dtype) * present
    return num.safe_divide(ops.sum(moved, axis=-1), ops.sum(present, axis=-1))


def barycentric_map(
    problem: TransportProblem, solution: TransportSolution, points: Any
) -> Any:
    """Barycentric projection of each row: the mean of its partners.

    From the `points` of the columns, of shape `(..., m, d)`, it makes images of
    the rows, of shape `(..., n, d)`. A row of zero weight has the image that it
    would have with a little weight.

    Example:
        ```python
        points = ops.eye(3)  # of the columns
        images = barycentric_map(problem, Sinkhorn()(problem), points)
        ```
    """
    problem = prepared(problem)
    relative = num.row(problem.b) * density(problem, solution.f, solution.g)
    mass = ops.sum(relative, axis=-1, keepdims=True)
    conditional = num.safe_divide(relative, mass)
    return num.matmul(conditional, ops.cast(points, conditional.dtype))
