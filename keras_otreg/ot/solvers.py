"""Solvers: Sinkhorn's algorithm, and the proximal point method."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.ot import numerics as num
from keras_otreg.ot import plan, scaling_loop
from keras_otreg.saving import Configurable, export

# Bytes of the kernels of a chunk: a core's own cache holds a few MiB.
CHUNK_BYTES = 2**20
# Each chunk is a call in the graph.
MAX_CHUNKS = 32


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
            third time, which mostly needs several times fewer iterations.
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

    def __call__(self, problem: plan.TransportProblem, init: Any = None) -> Any:
        """Solve a problem.

        `init` holds potentials to start from: a `TransportSolution`, or a pair
        `(f, g)`, of which only `g`, of shape `(..., m)`, is used.
        """
        problem = num.frozen(plan.prepared(problem))
        _, g = plan.initial_potentials(problem, init)
        if init is not None and all(x is None for x in problem.rho):
            # Any constant in them is as good, but a large one costs digits.
            g = g - ops.mean(g, axis=-1, keepdims=True)
        return num.frozen(plan.TransportSolution(*_program(self)(problem, g)))


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
    counts = ops.zeros_like(unknown, "int32")
    start = _Outcome(f, g, counts, unknown, unknown, unknown)
    (outcome,) = ops.while_loop(
        lambda outcome: ops.any(_is_open(solver, outcome)),
        lambda outcome: (_absorb(solver, problem, outcome),),
        (start,),
        maximum_iterations=solver.max_iterations,
    )
    f, g, num_iterations, error = outcome[:4]
    # Rows without mass are in no marginal: their potentials for the gradient.
    empty = problem.a <= 0.0

    def completed():
        log_b = num.row(num.safe_log(problem.b))
        to_rows = problem.C - num.row(g)
        exact = num.softmin(problem.epsilon, to_rows, log_b, axis=-1)
        pull = scaling_loop.damping(num.column(problem.epsilon), problem.rho[0])
        return ops.where(empty, pull * exact, f)

    f = ops.cond(ops.any(empty), completed, lambda: f)
    return f, g, num_iterations, error


def _is_open(solver, outcome):
    """Return which problems are worth more iterations."""
    # Once the loop has converged, what is left is the rounding of the
    # potentials, unless the error still falls.
    falls = outcome.error < 0.5 * outcome.previous_error
    worth_it = ops.logical_or(outcome.loop_error > solver.tolerance, falls)
    # A NaN counts as converged: there is nothing left to gain.
    more = outcome.num_iterations < solver.max_iterations
    short = ops.logical_and(outcome.error > solver.tolerance, more)
    return ops.logical_and(short, worth_it)


def _absorb(solver, problem, outcome):
    """Iterate on one kernel until converged, or due for absorption."""
    update = scaling_loop.KernelUpdate(problem, outcome.g)
    known = outcome.num_iterations, _is_open(solver, outcome)
    log_u, log_v, error, count = scaling_loop.scaled(update, solver, *known)
    f, g = update.potentials(log_u, log_v)
    honest = plan.marginal_error(problem, f, g)
    return _Outcome(f, g, count, honest, outcome.error, error)


def chunked(solve):
    """A solver that takes a large batch in chunks, each as one call."""

    def solved(problem, g):
        *batch, columns = g.shape
        sizes = (*batch, problem.C.shape[-2], columns)
        if not batch or None in sizes:
            return solve(problem, g)
        itemsize = np.dtype(keras.backend.standardize_dtype(g.dtype)).itemsize
        needed = math.ceil(itemsize * math.prod(sizes) / CHUNK_BYTES)
        count = min(needed, batch[0], MAX_CHUNKS)
        if count < 2:
            return solve(problem, g)
        parts = np.array_split(np.arange(g.shape[0]), count)
        starts = [int(part[0]) for part in parts[1:]]

        def split(x, own_axes):
            # Every chunk gets all of a field that has no batch axis.
            axes = len(g.shape) - 1 + own_axes
            if x is None or len(x.shape) < axes or x.shape[0] != g.shape[0]:
                return [x] * count
            return ops.split(x, starts, axis=0)

        C, a, b, epsilon, rho = problem
        fields = split(C, 2), split(a, 1), split(b, 1), split(epsilon, 0)
        rho = zip(*(split(side, 0) for side in rho), strict=True)
        problems = map(plan.TransportProblem, *fields, rho)
        return keras.tree.map_structure(
            lambda *part: ops.concatenate(part, axis=0),
            *map(solve, problems, split(g, 1)),
        )

    return solved


@export
@dataclasses.dataclass(frozen=True, repr=False)
class ProximalPoint(Configurable):
    """Approaches the plan of a small `epsilon` by steps of a larger one.

    Each step minimises `<P, C> + step KL(P | previous P)`. Its `k`-th plan is
    the entropic plan of strength `step / k`, until that reaches the problem's
    own `epsilon`; from there on it converges to the same plan as `Sinkhorn`.

    Args:
        step: Strength of the first step, in the units of the cost. If
            `max_iterations` steps of it cannot reach `epsilon`, it is
            shortened so that they do.
        max_iterations: Proximal steps after which the solver gives up.
        inner_iterations: Sinkhorn iterations in each step.
        tolerance: L1 error of the marginals at which it stops.

    Example:
        ```python
        problem = TransportProblem(C, a, b, epsilon=0.005 * ops.mean(C))
        solution = ProximalPoint(step=0.3)(problem)
        ```

    References:
        Xie, Wang, Wang and Zha, "A fast proximal point method for computing
        exact Wasserstein distance" (2018), arXiv 1802.04307.
    """

    step: float = 0.3
    max_iterations: int = 100
    inner_iterations: int = 1
    tolerance: float = 1e-3

    def __post_init__(self):
        checks.positive(self.step, "step")
        checks.count(self.max_iterations, "max_iterations")
        checks.count(self.inner_iterations, "inner_iterations")
        checks.non_negative(self.tolerance, "tolerance")

    def __call__(self, problem: plan.TransportProblem, init: Any = None) -> Any:
        """Solve a problem; see `Sinkhorn.__call__`."""
        problem = num.frozen(plan.prepared(problem))
        f, g = plan.initial_potentials(problem, init)
        # Potentials that are given belong to the end of the walk.
        step = self.step if init is None else problem.epsilon

        def goes_on(f, g, num_iterations, error):
            more = num_iterations < self.max_iterations
            return ops.any(ops.logical_and(error > self.tolerance, more))

        def body(f, g, num_iterations, error):
            more = ops.cast(error > self.tolerance, "int32")
            # Problems of a batch that are done go on with the others.
            k = ops.cast(ops.max(num_iterations) + 1, f.dtype)
            f, g, error = self._step(problem, f, g, step / k)
            return f, g, num_iterations + more, error

        num_iterations = ops.zeros_like(f[..., 0], dtype="int32")
        error = ops.full_like(f[..., 0], float("inf"))
        f, g, num_iterations, _ = ops.while_loop(
            goes_on,
            body,
            (f, g, num_iterations, error),
            maximum_iterations=self.max_iterations,
        )
        error = plan.marginal_error(problem, f, g)
        return num.frozen(plan.TransportSolution(f, g, num_iterations, error))

    def _step(self, problem, f, g, epsilon):
        """One proximal step, and the error that its last iteration met."""
        longest = problem.epsilon * self.max_iterations / self.step
        epsilon = epsilon * num.minimum(longest, 1.0)
        epsilon = num.maximum(epsilon, problem.epsilon)

        rho_a, rho_b = problem.rho
        log_a, log_b = num.safe_log(problem.a), num.safe_log(problem.b)

        def iterate(_, potentials):
            previous, g, _, _ = potentials
            # Of rows that are exact under the old `g`.
            to_rows = problem.C - num.row(g)
            exact = num.softmin(epsilon, to_rows, num.row(log_b), axis=-1)
            f = scaling_loop.damping(num.column(epsilon), rho_a) * exact
            f = f + num.column(scaling_loop.translation(problem, f, g))
            to_columns = problem.C - num.column(f)
            g = num.softmin(epsilon, to_columns, num.column(log_a), axis=-2)
            g = scaling_loop.damping(num.column(epsilon), rho_b) * g
            return f, g, exact, previous

        count, start = self.inner_iterations, (f, g, f, f)
        f, g, exact, previous = ops.fori_loop(0, count, iterate, start)
        change = (previous - exact) / num.column(epsilon)
        rows = problem.a * num.bounded_exp(change)
        optimal = plan.optimal_mass(problem.a, previous, problem.rho[0])
        error = ops.sum(ops.abs(rows - optimal), axis=-1)
        arrived = epsilon <= problem.epsilon
        return f, g, ops.where(arrived, error, float("inf"))
