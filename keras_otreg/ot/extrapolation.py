"""Anderson extrapolation of fixed-point iterations."""

from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot.numerics import column, inner, safe_divide

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


def extrapolated(last: Step, differences: list[Step], weights: Any) -> Any:
    """Image of the point at which the residual should be smallest.

    The map is taken to be linear along `differences` between recent steps,
    which are zero where unknown: Anderson's acceleration, whose least squares
    under `weights` `(..., m)` are solved by Gram-Schmidt, which is safe in
    float32.

    References:
        Anderson, "Iterative procedures for nonlinear integral equations"
        (1965). Pratapa, Suryanarayana and Pask, "Anderson acceleration of the
        Jacobi iterative method" (2016), for extrapolating only now and then.
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
