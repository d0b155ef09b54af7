"""Optimal plans that are held constant, and the costs of columns under them."""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_otreg import engine
from keras_otreg.ot import plan
from keras_otreg.ot.costs import Cost
from keras_otreg.ot.numerics import frozen, safe_divide
from keras_otreg.ot.solvers import Sinkhorn


class KnownCosts(Cost):
    """A cost for points that are replaced by their costs `(n, m)`.

    `is_relative` says that their mean is one: they need not be scaled.
    """

    def __init__(self, is_relative: bool = False):
        self.is_relative = is_relative

    def __call__(self, C):
        """Return the costs."""
        return C


KNOWN, RELATIVE = KnownCosts(), KnownCosts(is_relative=True)


@functools.lru_cache(maxsize=64)
def planner(cost: Cost, epsilon: float, solver: Any) -> Callable[..., Any]:
    """Return a function that solves for the plan, without a gradient.

    It takes what `cost` takes, and potentials `g` to start from or `None`. It
    returns the plan `(n, m)` between points of equal weight, and the
    `TransportSolution`, with the given potentials in place of non-finite ones.
    """

    def solved(*arguments):
        *points, g = arguments
        C = cost(*points)
        a, b = _equal_weights(C)
        is_relative = cost == RELATIVE
        make = plan.TransportProblem if is_relative else plan.relative_problem
        problem = make(C, a, b, epsilon)
        if g is None:
            solution = solver(problem)
        else:
            solution = solver(problem, init=(ops.zeros_like(a), g))
            is_finite = ops.all(ops.isfinite(solution.g))
            g = ops.where(is_finite, solution.g, g)
            solution = solution._replace(g=g)
        return plan.transport_plan(problem, solution), solution

    is_compiled = isinstance(solver, Sinkhorn) and solver.jit_compile
    program = solved
    # One program of costs and solver needs memory for few matrices.
    if is_compiled and cost.jit_compile:
        program = engine.compiled(solved)
    return lambda *points, g=None: frozen(program(*frozen((*points, g))))


def running_costs(cost: Cost, momentum: float, average: Any, steps: Any) -> Any:
    """Return a function that takes the costs of a step into an average.

    It takes what `cost` takes. Each step, in units of its mean cost, counts
    `momentum` times as much as the next. The `average` and the number of
    `steps` in it are variables; costs that are not finite are left out.
    """

    def mixed(*arguments):
        *points, past, steps = arguments
        C = cost(*points)
        mean = plan.mean_cost(C, *_equal_weights(C))
        # Costs of nothing but zeros have no unit.
        counts = ops.logical_and(ops.isfinite(mean), mean > 0.0)
        factor = (1.0 - momentum) / (1.0 - momentum ** (steps + 1.0))
        new = past + factor * (C * safe_divide(1.0, mean) - past)
        new_steps = steps + ops.cast(counts, steps.dtype)
        return ops.where(counts, new, past), new_steps

    update = engine.in_place_update(mixed, (average, steps), cost.jit_compile)
    return lambda *points: update(*frozen(points))


@functools.lru_cache(maxsize=64)
def column_costs(cost: Cost) -> Callable[..., Any]:
    """Return a function of what `cost` takes and a constant plan `(n, m)`.

    It returns costs `(m,)` of sum `<P, C>`; its backward pass makes `C` anew.
    """

    def paid(*arguments):
        *points, P = arguments
        return ops.sum(frozen(P) * cost(*points), axis=0)

    if isinstance(cost, KnownCosts):
        return paid
    return engine.remat(paid, jit_compile=cost.jit_compile)


def _equal_weights(C):
    return [ops.full((n,), 1.0 / n, dtype=C.dtype) for n in C.shape]
