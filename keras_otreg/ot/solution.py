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
    """Zeros of the shape of `f`, and `g` of `init`, or zeros, to start from."""
    # Weights may have batch axes that the costs have not.
    f = ops.zeros_like(problem.C[..., 0] + problem.a + problem.b[..., :1])
    g = ops.zeros_like(problem.C[..., 0, :] + problem.b + f[..., :1])
    if init is None:
        return f, g
    return f, g + frozen(ops.convert_to_tensor(init[1], problem.C.dtype))
