"""Anderson extrapolation of fixed-point iterations."""

from typing import Any, NamedTuple

from keras import ops

from keras_otreg.ot.numerics import column, inner, safe_divide

# A difference that the others explain up to this share is only rounding.
SMALLEST_SHARE = 1e-6


class Step(NamedTuple):
    """One evaluation of the map of a fixed-point iteration.

    Attributes:
        point: Where the map was evaluated, of shape `(..., m)`.
        residual: How far the map moved the point, of shape `(..., m)`.
    """

    point: Any
    residual: Any

    def minus(self, other: "Step", keep: Any) -> "Step":
        """The difference of two steps; zero where `keep` is false."""
        differences = (self.point - other.point, self.residual - other.residual)
        return Step(*(ops.where(column(keep), d, 0.0) for d in differences))


def extrapolated(last: Step, differences: list[Step], weights: Any) -> Any:
    """The image of the point at which the residual should be smallest.

    The map is taken to be linear along the differences between recent steps:
    that is Anderson's acceleration, with the least squares solved by
    Gram-Schmidt, which is safe in float32.

    Args:
        last: The last step.
        differences: Of steps one from the other; zero for those not known.
        weights: Of the coordinates in the least squares, of shape `(..., m)`.

    Returns:
        A point of shape `(..., m)`; the image of `last` if nothing is known.

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
        for known, known_size in basis:
            share = safe_divide(
                weighted(change.residual, known.residual), known_size
            )
            change = Step(
                change.point - share * known.point,
                change.residual - share * known.residual,
            )
        left = weighted(change.residual, change.residual)
        left = ops.where(left > SMALLEST_SHARE * size, left, 0.0)
        share = safe_divide(weighted(residual, change.residual), left)
        point = point - share * change.point
        residual = residual - share * change.residual
        basis.append((change, left))
    return point + residual
