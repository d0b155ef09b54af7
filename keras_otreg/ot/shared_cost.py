"""Many small problems that share one cost matrix, solved by matrix products."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_otreg.ot.numerics import (
    column,
    frozen,
    matmul,
    maximum,
    row,
    safe_log,
)
from keras_otreg.ot.plan import TransportProblem, TransportSolution
from keras_otreg.ot.solvers import Sinkhorn

# Kernel entries stay above exp(-60): a sum of them over weights that have
# their largest at 1 can then neither vanish nor lose precision in float32.
LARGEST_SAFE_RATIO = 60.0
SMALLEST_WEIGHT = 1e-20


def shared_cost_values(
    problem: TransportProblem, solver: Sinkhorn, *, safe: bool
) -> Any:
    """Optimal values of shape `(batch,)`, with exact gradients in `a` and `b`.

    They are of `C` of shape `(n, m)`, `a` of `(batch, n)`, `b` of `(batch, m)`.
    With exact marginals the value is `<P, C> + epsilon KL(P | a b^T)` (Cuturi,
    2013), with relaxed ones `<P, C> + epsilon <P, log P> + rho KL(P 1 | a) +
    rho KL(P^T 1 | b)` (Frogner et al., 2015). If `max(C) / epsilon` is `safe`,
    at most `LARGEST_SAFE_RATIO`, the kernel is multiplied with the batch.
    """
    sums, scalings, *_ = _solved(problem, solver, safe)
    relaxed = problem.rho is not None
    value: Any = _relaxed_value if relaxed else _balanced_value
    return value(problem, *sums, scalings)


def shared_cost_plans(
    problem: TransportProblem, solver: Sinkhorn, *, safe: bool
) -> tuple[Any, TransportSolution]:
    """Optimal plans of shape `(batch, n, m)`, and their `TransportSolution`.

    Its error is the largest of a row marginal, before the last iteration.
    """
    _, (log_u, log_v), iterations, error = _solved(problem, solver, safe)
    C = problem.C / problem.epsilon
    reference = 0.0 if problem.rho is None else 1.0
    P = frozen(ops.exp(column(log_u) + row(log_v) - C - reference))
    f, g = (problem.epsilon * scaling for scaling in (log_u, log_v))
    return P, TransportSolution(f, g, iterations, error)


def _solved(problem, solver, safe):
    """The two kinds of kernel sums, the optimal log scalings, the progress."""
    C = problem.C / problem.epsilon
    sums = _kernel_sums(C) if safe else _log_sums(C)
    return sums, *frozen(_solve(problem, solver, *sums))


def _kernel_sums(C: Any) -> tuple[Callable, Callable]:
    kernel = ops.exp(-C)

    def log_product(logs, matrix):
        largest = ops.max(logs, axis=-1, keepdims=True)
        return ops.log(matmul(ops.exp(logs - largest), matrix)) + largest

    return (
        lambda log_v: log_product(log_v, ops.transpose(kernel)),
        lambda log_u: log_product(log_u, kernel),
    )


def _log_sums(C: Any) -> tuple[Callable, Callable]:
    return (
        lambda log_v: ops.logsumexp(row(log_v) - C, axis=-1),
        lambda log_u: ops.logsumexp(column(log_u) - C, axis=-2),
    )


def _scaling(log_weights, log_sums, problem):
    """The log scaling of a side under which its marginal is as asked."""
    if problem.rho is None:
        return log_weights - log_sums
    power = problem.rho / (problem.rho + problem.epsilon)
    # P has the reference measure of ones: its kernel is exp(-C/epsilon - 1).
    return power * (log_weights - log_sums + 1.0)


def _solve(problem, solver, rows, columns):
    log_a, log_b = (safe_log(frozen(w)) for w in (problem.a, problem.b))

    def goes_on(log_u, log_v, sums, num_iterations, error):
        more = num_iterations < solver.max_iterations
        return ops.logical_and(error > solver.tolerance, more)

    def iterate(log_u, log_v, sums, num_iterations, error):
        log_u = _scaling(log_a, sums, problem)
        log_v = _scaling(log_b, columns(log_u), problem)
        sums = rows(log_v)
        after = _scaling(log_a, sums, problem)
        change = ops.abs(ops.exp(log_u + sums) - ops.exp(after + sums))
        error = ops.sum(change, axis=-1)
        # A sample that is not a number must not stop the others.
        error = ops.max(ops.where(ops.isnan(error), 0.0, error))
        return log_u, log_v, sums, num_iterations + 1, error

    zero = ops.zeros((), "int32")
    unknown = ops.full((), float("inf"), dtype=log_a.dtype)
    _, log_v, sums, num_iterations, error = ops.while_loop(
        goes_on,
        iterate,
        (log_a, log_b, rows(log_b), zero, unknown),
        maximum_iterations=solver.max_iterations,
    )
    scalings = _scaling(log_a, sums, problem), log_v
    return scalings, num_iterations, error


def _balanced_value(problem, rows, columns, scalings):
    # Potentials of zero weights are finite: they do not contain the weight.
    log_u, log_v = scalings
    f, g = frozen((-rows(log_v), -columns(log_u)))
    values = ops.sum(problem.a * f, axis=-1) + ops.sum(problem.b * g, axis=-1)
    return problem.epsilon * values


def _relaxed_value(problem, rows, columns, scalings):
    log_u, log_v = scalings
    mass = frozen(ops.sum(ops.exp(log_u + rows(log_v) - 1.0), axis=-1))
    sides = ((problem.a, rows(log_v)), (problem.b, columns(log_u)))
    lost = [
        ops.sum(weights * (1.0 - _kept(weights, log_sums, problem)), axis=-1)
        for weights, log_sums in sides
    ]
    return problem.rho * sum(lost) - problem.epsilon * mass


def _kept(weights, log_sums, problem):
    """The share of each weight that is transported, held constant."""
    floored = ops.log(maximum(frozen(weights), SMALLEST_WEIGHT))
    log_scaling = _scaling(floored, frozen(log_sums), problem)
    return ops.exp(-problem.epsilon / problem.rho * log_scaling)
