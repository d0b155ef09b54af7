"""Maximum mean discrepancy between two sets of samples."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.batch_loss import BatchLoss
from keras_otreg.ot.costs import squared_euclidean
from keras_otreg.ot.gaussian import gaussian_bank
from keras_otreg.ot.numerics import column, row, safe_divide
from keras_otreg.ot.problem import mean_cost
from keras_otreg.saving import export


@export
class MaximumMeanDiscrepancy(BatchLoss):
    """Squared distance of two sets of samples, by several Gaussian kernels.

    `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`, where `k` is the mean of
    five Gaussians `exp(-d^2 / (2 s^2))` with `s^2` at 1/4 to 4 times the mean
    squared distance between the two sets, held constant. DAN adds the kernels
    up, so that its value is five times this, and takes the mean over both sets
    together.

    Args:
        unbiased: Whether to leave a sample's kernel with itself out of the
            first two means. The value may then be below zero.
        **options: As of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., units)`.
        y_pred: Student activations of as many units.
        sample_weight: Shape `(batch,)`: the mass of each sample, in both sets.

    Example:
        ```python
        loss = otreg.losses.MaximumMeanDiscrepancy()
        penalty = otreg.Penalty(loss, at="avg_pool")
        ```

    References:
        Gretton et al., "A kernel two-sample test" (2012). Long et al.,
        "Learning transferable features with deep adaptation networks" (ICML
        2015).
    """

    def __init__(self, unbiased: bool = False, **options: Any):
        super().__init__(**options)
        self.unbiased = checks.flag(unbiased, "unbiased")

    def value(self, x, a, y, b):
        """The squared discrepancy of two sets of weighted samples."""
        checks.equal_features(x.shape, y.shape)
        between = squared_euclidean(x, y)
        scale = mean_cost(between, a, b)
        within = self._within(x, a, scale) + self._within(y, b, scale)
        return within - 2.0 * _mean(gaussian_bank(between, scale), a, b)

    def _within(self, points, weights, scale):
        kernel = gaussian_bank(squared_euclidean(points, points), scale)
        mean = _mean(kernel, weights, weights)
        if not self.unbiased:
            return mean
        own = ops.square(weights)
        others = mean - ops.sum(own * ops.diagonal(kernel))
        # A single sample has no other: what is left is rounding.
        share = 1.0 - ops.sum(own)
        return safe_divide(others, ops.where(share > 1e-6, share, 0.0))


def _mean(kernel, a, b):
    return ops.sum(column(a) * row(b) * kernel)
