"""Correlation alignment of two sets of samples."""

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.batch_loss import BatchLoss, mean_of
from keras_otreg.ot.numerics import column, frozen, safe_divide
from keras_otreg.saving import export


@export
class Coral(BatchLoss):
    """Distance between the covariances of two sets of samples.

    `|cov(teacher) - cov(student)|^2 / (4 units^2)`, in the Frobenius norm,
    with the unbiased covariance, which divides by the samples less one. Means
    do not matter, nor which sample is which.

    Its arguments are those of `keras_otreg.losses.batch_loss.BatchLoss`.

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

    adds_up = True

    def value(self, x, a, y, b):
        """The squared distance of two covariances, scaled."""
        checks.equal_features(x.shape, y.shape)
        difference = self._covariance(x, a) - self._covariance(y, b)
        return ops.mean(ops.square(difference)) / 4.0

    def _covariance(self, points, weights):
        """Unbiased covariance of shape `(units, units)`; zero of one sample."""
        # About the mean a covariance has no slope in it.
        points = points - frozen(self.total(mean_of(points, weights)))
        products, own = self.total(
            [
                ops.transpose(column(weights) * points) @ points,
                ops.sum(ops.square(weights)),
            ]
        )
        # One over n less one, where all n weights are 1 / n.
        share = 1.0 - own
        return safe_divide(products, ops.where(share > 1e-6, share, 0.0))
