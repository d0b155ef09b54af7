"""What a solver returns."""

from typing import Any, NamedTuple


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
    """

    f: Any
    g: Any
    num_iterations: Any
    marginal_error: Any
