"""Correlation alignment of two sets of samples."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.batch_loss import BatchLoss, centred
from keras_otreg.ot.numerics import column, safe_divide
from keras_otreg.saving import export


@export
class Coral(BatchLoss):
    """Distance between the covariances of two sets of samples.

    `|cov(teacher) - cov(student)|^2 / (4 units^2)`, in the Frobenius norm,
    with the unbiased covariance, which divides by the samples less one. Means
    do not matter, nor which sample is which.

    Args:
        spatial: `"pool"` averages maps over positions; `"keep"` makes a
            channel at a position a unit.
        name: Name of the loss.
        reduction: See `keras.losses.Loss`; the loss is one value.
        dtype: See `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., units)`.
        y_pred: Student activations of as many units.
        sample_weight: Shape `(batch,)`: the mass of each sample, in both sets.

    Example:
        ```python
        penalty = otreg.Penalty(otreg.losses.Coral(), at="avg_pool")
        ```

    References:
        Sun and Saenko, "Deep CORAL: correlation alignment for deep domain
        adaptation" (2016).
    """

    def __init__(
        self,
        *,
        spatial: str = "pool",
        name: str = "coral",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ):
        super().__init__(
            name=name, spatial=spatial, reduction=reduction, dtype=dtype
        )

    def value(self, x, a, y, b):
        """The squared distance of two covariances, scaled."""
        checks.equal_features(x.shape, y.shape)
        difference = _covariance(x, a) - _covariance(y, b)
        return ops.mean(ops.square(difference)) / 4.0


def _covariance(points, weights):
    """Unbiased covariance of shape `(units, units)`; zero of one sample."""
    points = centred(points, weights)
    products = ops.matmul(ops.transpose(column(weights) * points), points)
    # One over n less one, where all n weights are 1 / n.
    share = 1.0 - ops.sum(ops.square(weights))
    return safe_divide(products, ops.where(share > 1e-6, share, 0.0))
