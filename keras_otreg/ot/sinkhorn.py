"""Sinkhorn's algorithm, by matrix products that cannot underflow."""

import dataclasses
import functools
from typing import Any, NamedTuple

from keras import ops

from keras_otreg import checks, engine
from keras_otreg.ot.chunking import chunked
from keras_otreg.ot.kernel import KernelUpdate, damping
from keras_otreg.ot.numerics import column, frozen, row, safe_log, softmin
from keras_otreg.ot.plan import marginal_error
from keras_otreg.ot.problem import (
    TransportProblem,
    TransportSolution,
    initial_potentials,
    prepared,
)
from keras_otreg.ot.scaling_loop import scaled
from keras_otreg.saving import Configurable, export


@export
@dataclasses.dataclass(frozen=True, repr=False)
class Sinkhorn(Configurable):
    """Alternating projections onto the two marginals.

    An iteration is two products of the kernel `exp((f + g - C) / epsilon)`
    with a vector of scalings. Large scalings are absorbed into the kernel, so
    that no row or column of it can vanish, whatever `epsilon` is. No gradient
    passes through the loop: take gradients of the objectives.

    Args:
        max_iterations: Iterations after which the solver gives up.
        tolerance: L1 error of the marginals at which it stops.
        accelerated: Whether to extrapolate from the last iterations, every
            third time. It mostly needs several times fewer iterations, and at
            most half as many again.
        jit_compile: Whether to compile the loop by XLA on TensorFlow, where
            it is faster also in a step that is not compiled.

    Example:
        ```python
        solution = Sinkhorn(tolerance=1e-4)(problem)
        again = Sinkhorn(tolerance=1e-4)(similar_problem, init=solution)
        ```

    References:
        Cuturi, "Sinkhorn distances" (2013). Schmitzer, "Stabilized sparse
        scaling algorithms for entropy regularized transport problems" (2019).
    """

    max_iterations: int = 200
    tolerance: float = 1e-3
    accelerated: bool = True
    jit_compile: bool = True

    def __post_init__(self):
        checks.count(self.max_iterations, "max_iterations")
        checks.non_negative(self.tolerance, "tolerance")
        checks.flag(self.accelerated, "accelerated")
        checks.flag(self.jit_compile, "jit_compile")

    def __call__(
        self, problem: TransportProblem, init: Any = None
    ) -> TransportSolution:
        """Solve a problem.

        `init` holds potentials to start from: a `TransportSolution`, or a pair
        `(f, g)`, of which only `g`, of shape `(..., m)`, is used.
        """
        problem = frozen(prepared(problem))
        _, g = initial_potentials(problem, init)
        if init is not None and all(x is None for x in problem.rho):
            # Any constant in them is as good, but a large one costs digits.
            g = g - ops.mean(g, axis=-1, keepdims=True)
        return frozen(TransportSolution(*_program(self)(problem, g)))


@functools.lru_cache(maxsize=64)
def _program(solver):
    solve = functools.partial(_solve, solver)
    if not solver.jit_compile:
        return solve
    program = engine.compiled(solve)
    return chunked(program) if engine.runs_programs_in_parallel() else program


class _Outcome(NamedTuple):
    """State of the loop over absorptions."""

    f: Any
    g: Any
    num_iterations: Any
    # Those of the absorbed potentials, and of the loop on the last kernel.
    error: Any
    previous_error: Any
    loop_error: Any


def _solve(solver, problem, g):
    unknown = ops.full_like(g[..., 0], float("inf"))
    f = ops.zeros_like(problem.C[..., 0] + problem.a + g[..., :1])
    start = _Outcome(
        f, g, ops.zeros_like(unknown, "int32"), unknown, unknown, unknown
    )

    def body(*outcome):
        return tuple(_absorb(solver, problem, _Outcome(*outcome)))

    outcome = ops.while_loop(
        lambda *outcome: ops.any(_is_open(solver, _Outcome(*outcome))),
        body,
        tuple(start),
        maximum_iterations=solver.max_iterations,
    )
    f, g, num_iterations, error = outcome[:4]
    return _completed(problem, f, g), g, num_iterations, error


def _is_open(solver, outcome):
    """Return which problems are worth more iterations."""
    # Once the loop has converged, what is left is the rounding of the
    # potentials, unless the error still falls.
    worth_it = ops.logical_or(
        outcome.loop_error > solver.tolerance,
        outcome.error < 0.5 * outcome.previous_error,
    )
    # A NaN counts as converged: there is nothing left to gain.
    short = ops.logical_and(
        outcome.error > solver.tolerance,
        outcome.num_iterations < solver.max_iterations,
    )
    return ops.logical_and(short, worth_it)


def _absorb(solver, problem, outcome):
    """Iterate on one kernel until converged, or due for absorption."""
    update = KernelUpdate(problem, outcome.g)
    log_u, log_v, error, num_iterations = scaled(
        update, solver, outcome.num_iterations, _is_open(solver, outcome)
    )
    f, g = update.potentials(log_u, log_v)
    honest = marginal_error(problem, f, g)
    return _Outcome(f, g, num_iterations, honest, outcome.error, error)


def _completed(problem, f, g):
    """Set potentials of rows without mass, in no marginal, for the gradient."""
    empty = problem.a <= 0.0

    def moved():
        log_b = row(safe_log(problem.b))
        exact = softmin(problem.epsilon, problem.C - row(g), log_b, axis=-1)
        pull = damping(column(problem.epsilon), problem.rho[0])
        return ops.where(empty, pull * exact, f)

    return ops.cond(ops.any(empty), moved, lambda: f)
