"""The result of a solver."""

from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot.numerics import frozen
from keras_otreg.ot.problem import TransportProblem


class TransportSolution(NamedTuple):
    """Dual potentials, and how far they are from optimal.

    The plan is `P = a b^T exp((f + g - C) / epsilon)`: points of zero weight
    need no special case, and their potentials are finite.

    Attributes:
        f: Potentials of the rows, of shape `(..., n)`, in the units of `C`.
        g: Potentials of the columns, of shape `(..., m)`.
        num_iterations: Iterations until the tolerance was met, of shape
            `(...)`.
        marginal_error: L1 distance of both marginals of the plan of `f` and
            `g` from what they should be, of shape `(...)`. A solver that did
            not converge says so here, and nowhere else.

    Example:
        ```python
        solution = Sinkhorn()(problem)
        solution.f, solution.g, solution.marginal_error
        ```
    """

    f: Any
    g: Any
    num_iterations: Any
    marginal_error: Any


def initial_potentials(problem: TransportProblem, init: Any) -> tuple[Any, Any]:
    """Potentials to start from: those given, or zeros of the right shapes.

    Args:
        problem: A prepared problem; its weights may have batch axes that its
            costs have not.
        init: `None`, or potentials `(f, g)`, also as a `TransportSolution`.

    Returns:
        `f` of shape `(..., n)` and `g` of shape `(..., m)`.
    """
    C = problem.C
    batch = ops.zeros_like(C[..., :1, 0] + problem.a[..., :1])
    f = ops.zeros_like(problem.a + C[..., :, 0]) + batch
    g = ops.zeros_like(problem.b + C[..., 0, :]) + batch
    if init is None:
        return f, g
    return tuple(
        zeros + frozen(ops.convert_to_tensor(given, C.dtype))
        for zeros, given in zip((f, g), init[:2], strict=True)
    )
