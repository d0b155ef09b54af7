"""A plan that is held constant, and the costs of columns under it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_otreg import engine
from keras_otreg.ot.costs import Cost
from keras_otreg.ot.numerics import frozen, safe_divide
from keras_otreg.ot.plan import transport_plan
from keras_otreg.ot.problem import TransportProblem
from keras_otreg.ot.relative import mean_cost, relative_problem
from keras_otreg.ot.sinkhorn import Sinkhorn


class Plan(NamedTuple):
    """The optimal plan between points of equal weight.

    Attributes:
        P: Shape `(n, m)`, of sum one.
        g: Potentials of the columns, of shape `(m,)`, or what was given to
            start from if they are not finite; `None` if nothing was.
        num_iterations: Iterations of the solver, of shape `()`.
        marginal_error: What the solver says of the plan, of shape `()`.
    """

    P: Any
    g: Any
    num_iterations: Any
    marginal_error: Any


@functools.lru_cache(maxsize=64)
def planner(cost: Cost, epsilon: float, solver: Any) -> Callable[..., Plan]:
    """Return a function that makes plans between points, without a gradient.

    All of it is one compiled program, where the parts can be compiled: it
    then needs memory for few matrices, and returns it at once.

    Args:
        cost: A `Cost`.
        epsilon: Entropic strength in units of the mean cost.
        solver: A solver.

    Returns:
        A function of points `(n, d)` and `(m, d)`, and potentials to start
        from or `None`. Its value is a `Plan`.
    """

    def made(*arguments):
        *points, g = arguments
        C = cost(*points)
        return _plan(
            relative_problem(C, *_equal_weights(C), epsilon), solver, g
        )

    program = _constant(made, _compiles(solver) and cost.jit_compile)
    return lambda *points, g=None: program(*points, g)


@functools.lru_cache(maxsize=64)
def planner_of_costs(epsilon: float, solver: Any) -> Callable[..., Plan]:
    """Return a function like that of `planner`, of costs of mean one.

    Returns:
        A function of costs `(n, m)`, and potentials to start from or `None`.
    """

    def made(C, g):
        problem = TransportProblem(C, *_equal_weights(C), epsilon)
        return _plan(problem, solver, g)

    program = _constant(made, _compiles(solver))
    return lambda C, g=None: program(C, g)


class Given(Cost):
    """A cost of costs that are known already."""

    def __call__(self, C):
        """Return the costs."""
        return C


def of_mean_one(C: Any) -> Any:
    """Costs in units of their mean."""
    return C * safe_divide(1.0, mean_cost(C, *_equal_weights(C)))


def running_costs(
    cost: Cost, momentum: float, average: Any, steps: Any
) -> Callable[..., None]:
    """Averages the costs of steps, each in units of its own mean.

    Args:
        cost: A `Cost`.
        momentum: What a step counts for, relative to the one after it.
        average: A variable of shape `(n, m)`, for the average.
        steps: A variable of shape `()`, for the number of steps in it.

    Returns:
        A function of what `cost` takes, that takes the costs into the average,
        unless they are not finite or all zero. No gradient passes through it.
    """

    def mixed(*arguments):
        *points, past, steps = arguments
        C = cost(*points)
        mean = mean_cost(C, *_equal_weights(C))
        # Costs of nothing but zeros have no unit.
        known = ops.logical_and(ops.isfinite(mean), mean > 0.0)
        share = (1.0 - momentum) / (1.0 - momentum ** (steps + 1.0))
        new = past + share * (C * safe_divide(1.0, mean) - past)
        return ops.where(known, new, past), steps + ops.cast(known, steps.dtype)

    update = engine.in_place_update(mixed, (average, steps), cost.jit_compile)
    return lambda *points: update(*frozen(points))


@functools.lru_cache(maxsize=64)
def paid_by_columns(cost: Cost) -> Callable[[Any, Any, Any], Any]:
    """Return a function that gives the cost of each column under a plan.

    Args:
        cost: A `Cost`.

    Returns:
        A function of points `(n, d)` and `(m, d)` and a constant plan
        `(n, m)`, with values `(m,)` of sum `<P, C>`. Its backward pass makes
        the costs anew: until then nothing of their size is kept but the plan.
    """

    def paid(*arguments):
        *points, P = arguments
        return paid_of_costs(cost(*points), P)

    return engine.remat(paid, jit_compile=cost.jit_compile)


def paid_of_costs(C: Any, P: Any) -> Any:
    """As `paid_by_columns`, of costs that are known and kept."""
    return ops.sum(frozen(P) * C, axis=0)


def _plan(problem, solver, g):
    start = {} if g is None else {"init": (ops.zeros_like(problem.a), g)}
    solution = solver(problem, **start)
    if g is not None:
        is_finite = ops.all(ops.isfinite(solution.g))
        g = ops.where(is_finite, solution.g, g)
    return Plan(transport_plan(problem, solution), g, *solution[2:])


def _equal_weights(C):
    return (ops.full((n,), 1.0 / n, dtype=C.dtype) for n in C.shape)


def _constant(function, jit_compile):
    program = engine.compiled(function) if jit_compile else function
    return lambda *arguments: frozen(program(*frozen(arguments)))


def _compiles(solver):
    return isinstance(solver, Sinkhorn) and solver.jit_compile
