"""Sinkhorn's loop on one kernel, with an extrapolation every few iterations."""

import math
from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot.kernel import LARGEST_LOG_STEP, KernelUpdate
from keras_otreg.ot.numerics import column, inner, minimum, safe_divide

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


class Step(NamedTuple):
    """A point `(..., m)` of an iteration, and how far the map moves it."""

    point: Any
    residual: Any

    def minus(self, other: "Step", keep: Any) -> "Step":
        """Difference of two steps; zero where `keep` is false."""
        differences = (self.point - other.point, self.residual - other.residual)
        return Step(*(ops.where(column(keep), d, 0.0) for d in differences))


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


def scaled(
    update: KernelUpdate, solver: Any, num_iterations: Any, unmet: Any
) -> tuple[Any, Any, Any, Any]:
    """Iterate until converged, out of iterations, or due for absorption.

    Returns log scalings of rows and columns, the last error, and the number of
    iterations, which continues `num_iterations`.
    """

    def goes_on(*state):
        state = _State(*state)
        # Not by the largest: a NaN in one problem must not end the others.
        is_large = ops.logical_or(
            ops.any(state.log_u > LARGEST_SCALING),
            ops.any(state.log_v > LARGEST_SCALING),
        )
        goes_on = ops.logical_and(
            ops.any(state.unmet), state.total < solver.max_iterations
        )
        return ops.logical_and(goes_on, ops.logical_not(is_large))

    def body(*state):
        return tuple(_several(update, solver, _State(*state)))

    state = _State(
        *ops.while_loop(
            goes_on,
            body,
            tuple(_start(update, num_iterations, unmet)),
            maximum_iterations=math.ceil(solver.max_iterations / PERIOD),
        )
    )
    return state.log_u, state.log_v, state.error, state.num_iterations


def _start(update, num_iterations, unmet):
    unknown = ops.full_like(update.start[..., 0], float("inf"))
    return _State(
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
    start = ops.where(
        column(state.unmet), ops.clip(start, *limits), state.log_v
    )
    return state._replace(start=start)


def _once(update, solver, state, is_extrapolated):
    """One iteration; without effect if rejected, or after the last."""
    more = state.total < solver.max_iterations
    after = update(state.start)
    kept = ops.ones_like(state.unmet)
    if is_extrapolated:
        kept = _is_good(after, state)
    effective = ops.logical_and(more, kept)
    step = Step(state.start, after.log_v - state.start)
    log_v = ops.where(column(effective), after.log_v, state.log_v)
    error = ops.where(effective, after.error, state.error)
    counts = ops.cast(ops.logical_and(state.unmet, more), "int32")
    return (
        _State(
            start=log_v,
            log_u=ops.where(column(effective), after.log_u, state.log_u),
            log_v=log_v,
            point=state.start,
            best=minimum(error, state.best),
            value=ops.where(effective, after.value, state.value),
            error=error,
            unmet=ops.logical_and(state.unmet, error > solver.tolerance),
            num_iterations=state.num_iterations + counts,
            total=state.total + ops.cast(more, "int32"),
        ),
        step,
        kept,
    )


def _is_good(after, state):
    """Return which extrapolated points are no worse than the best by much."""
    # The dual tells direction where the error hardly changes, far from the
    # optimum; near to it its differences drown in rounding.
    return ops.logical_and(
        after.error <= MAX_RELATIVE_ERROR * state.best,
        after.value >= state.value - ops.square(state.best),
    )


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
        return column(inner(weights * x, y))

    point, residual = last
    basis: list[tuple[Step, Any]] = []
    for change in differences:
        size = weighted(change.residual, change.residual)
        for other, norm in basis:
            share = weighted(change.residual, other.residual)
            share = safe_divide(share, norm)
            change = Step(
                change.point - share * other.point,
                change.residual - share * other.residual,
            )
        left = weighted(change.residual, change.residual)
        left = ops.where(left > SMALLEST_SHARE * size, left, 0.0)
        share = safe_divide(weighted(residual, change.residual), left)
        point = point - share * change.point
        residual = residual - share * change.residual
        basis.append((change, left))
    return point + residual
