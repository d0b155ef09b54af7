"""Sinkhorn's loop on one kernel, with an extrapolation every few iterations."""

import math
from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot import numerics as num
from keras_otreg.ot.plan import TransportProblem, density, optimal_mass

# One update may move a potential by this many epsilons, no further.
LARGEST_LOG_STEP = 60.0
# Columns of next to no mass may start from anywhere.
LARGEST_START = 20.0
SMALLEST_SUM = 1e-26
# Rows of zero mass follow the others, and may overflow where those do not.
LARGEST_SUM = 1e37
# Iterations between two extrapolations, which use as many differences.
PERIOD = 3
# An extrapolation is rejected if its error is larger than the best so far by
# this factor.
MAX_RELATIVE_ERROR = 2.0
# Larger scalings than exp(30) are absorbed: entries of the kernel that
# underflow, below exp(-87), then still count for less than exp(-27) of a row.
LARGEST_SCALING = 30.0
# A difference that the others explain up to this share is only rounding.
SMALLEST_SHARE = 1e-6


class KernelUpdate:
    """Sinkhorn's iteration against the kernel of given potentials.

    The kernel absorbs `f` and `g`, so that each row and column holds an entry
    that counts. The potentials are `f + epsilon log u` and `g + epsilon log v`.
    """

    def __init__(self, problem: TransportProblem, g: Any):
        self.problem = problem
        self.epsilon = num.column(problem.epsilon)
        log_a, log_b = num.safe_log(problem.a), num.safe_log(problem.b)
        # What the potentials tend to as epsilon falls, on the points of mass.
        columns = num.row(g + self.epsilon * log_b)
        self.f = num.smallest(problem.C - columns, axis=-1)
        rows = num.column(self.f + self.epsilon * log_a)
        self.g = num.smallest(problem.C - rows, axis=-2)
        start = (g - self.g) / self.epsilon
        self.start = num.minimum(start, LARGEST_START)
        self.kernel = density(problem, self.f, self.g)

    def __call__(self, log_v):
        """Return new rows and columns, the L1 error before, the dual value."""
        a, b, (rho_a, rho_b) = self.problem[1:3] + self.problem[4:]
        v = ops.exp(log_v)
        sums = num.sum_of_columns(self.kernel, b * v)
        log_u = self._scaling(sums, self.f, rho_a)
        if rho_a is not None and rho_b is not None:
            potentials = self.potentials(log_u, log_v)
            constant = translation(self.problem, *potentials)
            log_u = log_u + _bounded(num.column(constant) / self.epsilon)
        u = ops.exp(log_u)
        sums = num.minimum(num.sum_of_rows(a * u, self.kernel), LARGEST_SUM)
        columns = b * v * sums
        optimal = optimal_mass(b, self.g + self.epsilon * log_v, rho_b)
        value = self._dual(a, log_u, self.f, rho_a)
        value = value + self._dual(b, log_v, self.g, rho_b)
        error = ops.sum(ops.abs(columns - optimal), axis=-1)
        value = value - num.inner(b * v, sums)
        return log_u, self._scaling(sums, self.g, rho_b), error, value

    def potentials(self, log_u: Any, log_v: Any) -> tuple[Any, Any]:
        """The potentials of some scalings."""
        return self.f + self.epsilon * log_u, self.g + self.epsilon * log_v

    def _scaling(self, sums, potential, rho):
        """The log scaling of a side under which its marginal is optimal."""
        log_sums = ops.log(ops.clip(sums, SMALLEST_SUM, LARGEST_SUM))
        if rho is None:
            return -log_sums
        pull = potential / (self.epsilon + num.column(rho))
        return _bounded(-damping(self.epsilon, rho) * log_sums - pull)

    def _dual(self, weights, log_scaling, potential, rho):
        """The part of a side in the dual objective, in units of epsilon."""
        if rho is not None:
            moved = conjugate(potential + self.epsilon * log_scaling, rho)
            log_scaling = moved / self.epsilon
        return num.inner(weights, log_scaling)


def _bounded(log_scaling):
    return ops.clip(log_scaling, -LARGEST_LOG_STEP, LARGEST_LOG_STEP)


def damping(epsilon: Any, rho: Any) -> Any:
    """Factor of a potential where marginals may be violated; 1 if not."""
    return 1.0 if rho is None else 1.0 / (1.0 + epsilon / num.column(rho))


def conjugate(potential: Any, rho: Any) -> Any:
    """Contribution of a unit of mass to the dual at a potential."""
    if rho is None:
        return potential
    rho = num.column(rho)
    # Of a point without mass it may be huge, but 0 times it must stay 0.
    largest = num.LARGEST_EXPONENT - ops.log(num.maximum(rho, 1.0))
    # 1 - exp would cancel where rho is large.
    return -rho * ops.expm1(num.minimum(-potential / rho, largest))


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
    log_a, log_b = num.safe_log(problem.a), num.safe_log(problem.b)
    rows = ops.logsumexp(log_a - f / num.column(rho_a), axis=-1)
    columns = ops.logsumexp(log_b - g / num.column(rho_b), axis=-1)
    return (rows - columns) * rho_a * rho_b / (rho_a + rho_b)


class Step(NamedTuple):
    """A point `(..., m)` of an iteration, and how far the map moves it."""

    point: Any
    residual: Any

    def minus(self, other: "Step", keep: Any) -> "Step":
        """Difference of two steps; zero where `keep` is false."""
        differences = (self.point - other.point, self.residual - other.residual)
        return Step(*(ops.where(num.column(keep), d, 0.0) for d in differences))


class _State(NamedTuple):
    """State of the loop: log scalings, errors and counts of each problem."""

    # Where the next iteration starts, maybe extrapolated.
    start: Any
    log_u: Any
    log_v: Any
    # Where the last iteration started.
    point: Any
    # The smallest error so far.
    best: Any
    # The dual objective of the last iteration that counted.
    value: Any
    error: Any
    # Whether the tolerance has never been met; after how many iterations.
    unmet: Any
    num_iterations: Any
    total: Any


def scaled(update, solver, num_iterations, unmet):
    """Iterate until converged, out of iterations, or due for absorption.

    Returns log scalings of rows and columns, the last error and the iterations.
    """

    def goes_on(state):
        # Not by the largest: a NaN in one problem must not end the others.
        is_large = ops.logical_or(
            ops.any(state.log_u > LARGEST_SCALING),
            ops.any(state.log_v > LARGEST_SCALING),
        )
        more = state.total < solver.max_iterations
        more = ops.logical_and(ops.any(state.unmet), more)
        return ops.logical_and(more, ops.logical_not(is_large))

    unknown = ops.full_like(update.start[..., 0], float("inf"))
    start = _State(
        start=update.start,
        log_u=ops.zeros_like(update.f),
        log_v=update.start,
        point=update.start,
        best=unknown,
        value=-unknown,
        error=unknown,
        unmet=unmet,
        num_iterations=num_iterations,
        total=ops.max(num_iterations),
    )
    (state,) = ops.while_loop(
        goes_on,
        lambda state: (_several(update, solver, state),),
        (start,),
        maximum_iterations=math.ceil(solver.max_iterations / PERIOD),
    )
    return state.log_u, state.log_v, state.error, state.num_iterations


def _several(update, solver, state):
    """A few iterations, and an extrapolation."""
    before = Step(state.point, state.log_v - state.point)
    valid = ops.isfinite(state.best)
    differences = []
    for k in range(PERIOD):
        is_extrapolated = solver.accelerated and k == 0
        state, step, kept = _once(update, solver, state, is_extrapolated)
        both = ops.logical_and(valid, kept)
        differences.append(step.minus(before, both))
        before, valid = step, kept
    if not solver.accelerated:
        return state
    start = extrapolated(step, differences, update.problem.b)
    limits = state.log_v - LARGEST_LOG_STEP, state.log_v + LARGEST_LOG_STEP
    start = ops.clip(start, *limits)
    start = ops.where(num.column(state.unmet), start, state.log_v)
    return state._replace(start=start)


def _once(update, solver, state, is_extrapolated):
    """One iteration; without effect if rejected, or after the last."""
    more = state.total < solver.max_iterations
    log_u, log_v, error, value = update(state.start)
    step = Step(state.start, log_v - state.start)
    kept = ops.ones_like(state.unmet)
    if is_extrapolated:
        # The dual tells direction where the error hardly changes, far from the
        # optimum; near to it its differences drown in rounding.
        kept = ops.logical_and(
            error <= MAX_RELATIVE_ERROR * state.best,
            value >= state.value - ops.square(state.best),
        )
    effective = ops.logical_and(more, kept)
    log_v = ops.where(num.column(effective), log_v, state.log_v)
    error = ops.where(effective, error, state.error)
    counts = ops.cast(ops.logical_and(state.unmet, more), "int32")
    state = _State(
        start=log_v,
        log_u=ops.where(num.column(effective), log_u, state.log_u),
        log_v=log_v,
        point=state.start,
        best=num.minimum(error, state.best),
        value=ops.where(effective, value, state.value),
        error=error,
        unmet=ops.logical_and(state.unmet, error > solver.tolerance),
        num_iterations=state.num_iterations + counts,
        total=state.total + ops.cast(more, "int32"),
    )
    return state, step, kept


def extrapolated(last: Step, differences: list[Step], weights: Any) -> Any:
    """Image of the point at which the residual should be smallest.

    Anderson's acceleration: the map is taken to be linear along `differences`
    between recent steps, which are zero where unknown. Gram-Schmidt solves its
    least squares under `weights` `(..., m)` safely in float32.

    References:
        Pratapa, Suryanarayana and Pask, "Anderson acceleration of the Jacobi
        iterative method" (2016), for extrapolating only now and then.
    """

    def weighted(x, y):
        return num.column(num.inner(weights * x, y))

    point, residual = last
    basis: list[tuple[Step, Any]] = []
    for change in differences:
        size = weighted(change.residual, change.residual)
        for other, norm in basis:
            share = weighted(change.residual, other.residual)
            share = num.safe_divide(share, norm)
            change = Step(
                change.point - share * other.point,
                change.residual - share * other.residual,
            )
        left = weighted(change.residual, change.residual)
        left = ops.where(left > SMALLEST_SHARE * size, left, 0.0)
        share = num.safe_divide(weighted(residual, change.residual), left)
        point = point - share * change.point
        residual = residual - share * change.residual
        basis.append((change, left))
    return point + residual
