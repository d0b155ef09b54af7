"""The plan of a solution, and quantities derived from it."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.ot.numerics import (
    bounded_exp,
    column,
    matmul,
    minimum,
    row,
    safe_divide,
    safe_log,
    sum_of_columns,
    sum_of_rows,
)
from keras_otreg.ot.problem import TransportProblem, TransportSolution, prepared


def density(problem: TransportProblem, f: Any, g: Any) -> Any:
    """The plan relative to `a b^T`, `exp((f + g - C) / epsilon)`."""
    epsilon = column(column(problem.epsilon))
    return bounded_exp((column(f) + row(g) - problem.C) / epsilon)


def transport_plan(
    problem: TransportProblem, solution: TransportSolution
) -> Any:
    """Transport plan: the mass that goes from each row to each column.

    Args:
        problem: The `TransportProblem` that was solved.
        solution: What a solver returned for it.

    Returns:
        The plan of shape `(..., n, m)`, non-negative.

    Example:
        ```python
        P = transport_plan(problem, Sinkhorn()(problem))
        ```
    """
    problem = prepared(problem)
    relative = density(problem, solution.f, solution.g)
    return column(problem.a) * (row(problem.b) * relative)


def marginals(
    problem: TransportProblem, solution: TransportSolution
) -> tuple[Any, Any]:
    """Row sums and column sums of the plan.

    Args:
        problem: The `TransportProblem` that was solved.
        solution: What a solver returned for it.

    Returns:
        Sums of shapes `(..., n)` and `(..., m)`.

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
    return weights * bounded_exp(-potential / column(rho))


def marginal_error(problem: TransportProblem, f: Any, g: Any) -> Any:
    """L1 distance of both marginals of a plan from the optimal ones."""
    problem = prepared(problem)
    a, b, (rho_a, rho_b) = problem.a, problem.b, problem.rho
    relative = density(problem, f, g)
    # Products, not sums: a compiler would compute the exponentials twice.
    rows = a * sum_of_columns(relative, b)
    columns = b * sum_of_rows(a, relative)
    return ops.sum(
        ops.abs(rows - optimal_mass(a, f, rho_a)), axis=-1
    ) + ops.sum(ops.abs(columns - optimal_mass(b, g, rho_b)), axis=-1)


def plan_entropy(problem: TransportProblem, solution: TransportSolution) -> Any:
    """Normalised entropy of the plan: 0 for a matching, 1 if it is uniform.

    It is one minus the mutual information of the plan over its largest
    possible value, the smaller entropy of the two marginals. Above 0.95 the
    plan says next to nothing: `epsilon` is too large.

    Args:
        problem: The `TransportProblem` that was solved.
        solution: What a solver returned for it.

    Returns:
        The normalised entropy, of shape `(...)`; 0 where a side has one point.

    Example:
        ```python
        blur = plan_entropy(problem, Sinkhorn()(problem))
        ```
    """
    return entropy_of(transport_plan(problem, solution))


def entropy_of(P: Any) -> Any:
    """The `plan_entropy` of a plan of shape `(..., n, m)`."""
    P = safe_divide(P, ops.sum(P, axis=(-2, -1), keepdims=True))
    rows, columns = ops.sum(P, axis=-1), ops.sum(P, axis=-2)
    joint = -ops.sum(P * safe_log(P), axis=(-2, -1))
    entropies = [-ops.sum(w * safe_log(w), axis=-1) for w in (rows, columns)]
    information = entropies[0] + entropies[1] - joint
    largest = minimum(*entropies)
    certain = safe_divide(information, largest)
    # A side of one point has no entropy, but for rounding.
    normalised = ops.where(largest > 1e-6, 1.0 - certain, 0.0)
    return ops.clip(normalised, 0.0, 1.0)


def permuted_fraction(P: Any) -> Any:
    """Share of the points whose main partner is not the one of their index.

    Between a network and what it has become: 0 where every neuron kept its
    place. Between networks that have nothing to do with each other it is
    about 1. Rows without mass count for nothing.

    Args:
        P: A plan of shape `(..., n, n)`.

    Returns:
        Shares of shape `(...)`, from 0 to 1.

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
    return safe_divide(
        ops.sum(ops.cast(moved, P.dtype) * present, axis=-1),
        ops.sum(present, axis=-1),
    )


def barycentric_map(
    problem: TransportProblem, solution: TransportSolution, points: Any
) -> Any:
    """Barycentric projection of each row: the mean of its partners.

    Args:
        problem: The `TransportProblem` that was solved.
        solution: What a solver returned for it.
        points: The points of the columns, of shape `(..., m, d)`.

    Returns:
        Images of the rows, of shape `(..., n, d)`. A row of zero weight has
        the image that it would have with a little weight.

    Example:
        ```python
        points = ops.eye(3)  # of the columns
        images = barycentric_map(problem, Sinkhorn()(problem), points)
        ```
    """
    problem = prepared(problem)
    relative = row(problem.b) * density(problem, solution.f, solution.g)
    conditional = safe_divide(
        relative, ops.sum(relative, axis=-1, keepdims=True)
    )
    return matmul(conditional, ops.cast(points, conditional.dtype))
