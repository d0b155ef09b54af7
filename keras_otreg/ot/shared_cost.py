"""Many small problems that share one cost matrix, solved by matrix products."""

from typing import Any

from keras import ops

from keras_otreg.ot import numerics as num
from keras_otreg.ot.plan import TransportProblem, TransportSolution
from keras_otreg.ot.solvers import Sinkhorn

# Kernel entries stay above exp(-60): a sum of them over weights that have
# their largest at 1 can then neither vanish nor lose precision in float32.
LARGEST_SAFE_RATIO = 60.0
SMALLEST_WEIGHT = 1e-20


def values(problem: TransportProblem, solver: Sinkhorn, *, safe: bool) -> Any:
    """Optimal values of shape `(batch,)`, with exact gradients in `a` and `b`.

    They are of `C` of shape `(n, m)`, `a` of `(batch, n)`, `b` of `(batch, m)`.
    With exact marginals the value is `<P, C> + epsilon KL(P | a b^T)` (Cuturi,
    2013), with relaxed ones `<P, C> + epsilon <P, log P> + rho KL(P 1 | a) +
    rho KL(P^T 1 | b)` (Frogner et al., 2015). If `max(C) / epsilon` is `safe`,
    at most `LARGEST_SAFE_RATIO`, the kernel is multiplied with the batch.
    """
    (rows, columns), (log_u, log_v), *_ = _solved(problem, solver, safe)
    sums = rows(log_v), columns(log_u)
    if problem.rho is None:
        # Potentials of zero weights are finite: they do not contain the weight.
        f, g = num.frozen((-sums[0], -sums[1]))
        values = ops.sum(problem.a * f, axis=-1)
        values = values + ops.sum(problem.b * g, axis=-1)
        return problem.epsilon * values
    mass = num.frozen(ops.sum(ops.exp(log_u + sums[0] - 1.0), axis=-1))
    lost = [
        ops.sum(w * (1.0 - _kept(w, log_sums, problem)), axis=-1)
        for w, log_sums in zip(problem[1:3], sums, strict=True)
    ]
    return problem.rho * sum(lost) - problem.epsilon * mass


def plans(problem, solver, *, safe):
    """Optimal plans of shape `(batch, n, m)`, and their `TransportSolution`.

    Its error is the largest of a row marginal, before the last iteration.
    """
    _, (log_u, log_v), iterations, error = _solved(problem, solver, safe)
    C = problem.C / problem.epsilon
    reference = 0.0 if problem.rho is None else 1.0
    P = num.frozen(ops.exp(num.column(log_u) + num.row(log_v) - C - reference))
    f, g = (problem.epsilon * scaling for scaling in (log_u, log_v))
    return P, TransportSolution(f, g, iterations, error)


def _solved(problem, solver, safe):
    """The two kinds of kernel sums, the optimal log scalings, the progress."""
    C = problem.C / problem.epsilon
    rows, columns = _kernel_sums(C) if safe else _log_sums(C)
    log_a, log_b = (num.safe_log(num.frozen(w)) for w in (problem.a, problem.b))

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
    return (rows, columns), *num.frozen((scalings, num_iterations, error))


def _kernel_sums(C):
    kernel = ops.exp(-C)

    def log_product(logs, matrix):
        largest = ops.max(logs, axis=-1, keepdims=True)
        return ops.log(num.matmul(ops.exp(logs - largest), matrix)) + largest

    return (
        lambda log_v: log_product(log_v, ops.transpose(kernel)),
        lambda log_u: log_product(log_u, kernel),
    )


def _log_sums(C):
    return (
        lambda log_v: ops.logsumexp(num.row(log_v) - C, axis=-1),
        lambda log_u: ops.logsumexp(num.column(log_u) - C, axis=-2),
    )


def _scaling(log_weights, log_sums, problem):
    """The log scaling of a side under which its marginal is as asked."""
    if problem.rho is None:
        return log_weights - log_sums
    power = problem.rho / (problem.rho + problem.epsilon)
    # P has the reference measure of ones: its kernel is exp(-C/epsilon - 1).
    return power * (log_weights - log_sums + 1.0)


def _kept(weights, log_sums, problem):
    """The share of each weight that is transported, held constant."""
    floored = ops.log(num.maximum(num.frozen(weights), SMALLEST_WEIGHT))
    log_scaling = _scaling(floored, num.frozen(log_sums), problem)
    return ops.exp(-problem.epsilon / problem.rho * log_scaling)
