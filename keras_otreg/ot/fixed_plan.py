"""A plan that is held constant, and what points pay under it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_otreg import backend
from keras_otreg.ot.costs import COSTS
from keras_otreg.ot.numerics import frozen
from keras_otreg.ot.plan import transport_plan
from keras_otreg.ot.relative import relative_problem
from keras_otreg.ot.sinkhorn import Sinkhorn

Cost = Callable[[Any, Any], Any]


class Plan(NamedTuple):
    """The optimal plan between points of equal weight.

    Attributes:
        P: Shape `(n, m)`, of sum one.
        g: Potentials of the columns, of shape `(m,)`, or what was given to
            start from if they are not finite; `None` if nothing was.
        C: Costs that it is made from, of shape `(n, m)`, or the earlier ones
            if they are not finite; `None` if there were none.
    """

    P: Any
    g: Any
    C: Any


@functools.lru_cache(maxsize=64)
def planner(
    cost: Cost, epsilon: float, solver: Any, momentum: float = 0.0
) -> Callable[..., Plan]:
    """Makes plans, through which no gradient passes.

    All of it is one compiled program, where the parts can be compiled: it
    then needs memory for few matrices, and returns it at once.

    Args:
        cost: A cost function.
        epsilon: Entropic strength in units of the mean cost.
        solver: A solver.
        momentum: Share of earlier costs in those of a plan.

    Returns:
        A function of points `(n, d)` and `(m, d)`, potentials to start from or
        `None`, and earlier costs or `None`. Its value is a `Plan`.
    """

    def made(x, y, g, past):
        C = cost(x, y)
        if past is not None:
            C = momentum * past + (1.0 - momentum) * C
        weights = (ops.full((n,), 1.0 / n, dtype=C.dtype) for n in C.shape)
        problem = relative_problem(C, *weights, epsilon)
        start = {}
        if g is not None:
            start["init"] = (ops.zeros_like(problem.a), g)
        solution = solver(problem, **start)
        P = transport_plan(problem, solution)
        return Plan(P, _finite(solution.g, g), _finite(C, past))

    compiles = isinstance(solver, Sinkhorn) and solver.jit_compile
    program = backend.compiled(made) if compiles and _is_ours(cost) else made

    def plan(x, y, g=None, past=None):
        return frozen(program(*frozen((x, y, g, past))))

    return plan


@functools.lru_cache(maxsize=64)
def paid_by_columns(cost: Cost) -> Callable[[Any, Any, Any], Any]:
    """What each column pays under a plan.

    Args:
        cost: A cost function.

    Returns:
        A function of points `(n, d)` and `(m, d)` and a constant plan
        `(n, m)`, with values `(m,)` of sum `<P, C>`. Its backward pass makes
        the costs anew: until then nothing of their size is kept but the plan.
    """

    def paid(x, y, P):
        return ops.sum(frozen(P) * cost(x, y), axis=0)

    return backend.recomputed(paid, jit_compile=_is_ours(cost))


def _finite(value, known):
    if known is None:
        return None
    return ops.where(ops.all(ops.isfinite(value)), value, known)


def _is_ours(cost):
    # Others may do what cannot be compiled.
    return cost in COSTS.values()
