"""Losses of sets of samples: distances between two, and the spread of one."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import SAMPLES, TransportLoss
from keras_otreg.losses.batch_loss import BatchLoss, mean_of
from keras_otreg.ot import Sinkhorn, costs
from keras_otreg.ot.costs import gaussian_bank, squared_euclidean
from keras_otreg.ot.function_cost import as_cost
from keras_otreg.ot.numerics import column, frozen, row, safe_divide, safe_sqrt
from keras_otreg.ot.objectives import relative_divergence
from keras_otreg.ot.plan import mean_cost, relative_problem
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
        products = ops.transpose(column(weights) * points) @ points
        own = ops.sum(ops.square(weights))
        products, own = self.total([products, own])
        # One over n less one, where all n weights are 1 / n.
        share = 1.0 - own
        return safe_divide(products, ops.where(share > 1e-6, share, 0.0))


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


@export
class SinkhornDivergence(BatchLoss, TransportLoss):
    """Distance between the teacher's and the student's sets of samples.

    Here a point is a sample and its coordinates are the units, the transpose
    of `RepresentationTransport`: which sample is where does not matter, the
    shape of the whole cloud does. Zero if and only if the clouds are equal.

    Args:
        cost: Name of a cost in `keras_otreg.ot.costs`, or a cost function.
        epsilon: Entropic strength in units of the mean cost.
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`. It sees costs
            scaled to a mean of 1.
        **options: As of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., units)`.
        y_pred: Student activations of shape `(batch, ..., units)`, of as many
            units.
        sample_weight: Shape `(batch,)`: the mass of each sample, in both sets.

    Example:
        ```python
        penalty = otreg.Penalty(otreg.losses.SinkhornDivergence(), at="pool")
        ```

    References:
        Feydy et al., "Interpolating between optimal transport and MMD using
        Sinkhorn divergences" (2019).
    """

    def __init__(
        self,
        cost: Any = "squared_euclidean",
        epsilon: float = 0.05,
        *,
        solver: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.cost = costs.get(cost)
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.solver = checks.solver(solver or Sinkhorn())

    def value(self, x, a, y, b):
        """The divergence between two sets of weighted samples."""
        checks.equal_features(x.shape, y.shape)
        settings = self.cost, self.epsilon, self.solver
        return relative_divergence(x, y, *settings, a, b)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plan between the samples of the two sets."""
        x, a = self.samples(teacher, sample_weight)
        y, b = self.samples(student, sample_weight)
        C = as_cost(self.cost)(x, y)
        return self._solve(relative_problem(C, a, b, self.epsilon), SAMPLES)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "cost": costs.name_of(self.cost)}


@export
class BatchSpectralShrinkage(BatchLoss):
    """The smallest singular values of a batch of features (BSS).

    It is the sum of the squares of the `k` smallest singular values of the
    matrix of samples by units. It shrinks the directions in which the features
    of a batch vary least, which transfer worst. The teacher's activations are
    ignored. The gradient is that of the singular values. As in the paper, the
    value grows with the batch size.

    Args:
        k: How many singular values, of the `min(batch, units)` there are.
        **options: As of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Activations of the same samples; ignored.
        y_pred: Student activations of shape `(batch, ..., units)`.
        sample_weight: Shape `(batch,)`. A sample of weight 0 is left out, and
            the others are scaled by the root of their weight over the mean.

    Example:
        ```python
        loss = otreg.losses.BatchSpectralShrinkage(k=1)
        penalty = otreg.Penalty(loss, at="avg_pool", weight=1e-3)
        ```

    References:
        Chen et al., "Catastrophic forgetting meets negative transfer: batch
        spectral shrinkage for safe transfer learning" (NeurIPS 2019).
    """

    def __init__(self, k: int = 1, **options: Any):
        super().__init__(**options)
        self.k = checks.count(k, "k")

    def value(self, x, a, y, b):
        """The sum of the `k` smallest squared singular values."""
        samples = ops.shape(y)[0]
        present = ops.sum(ops.cast(b > 0.0, "int32"))
        features = y * column(safe_sqrt(b * ops.cast(present, b.dtype)))
        gram = features @ ops.transpose(features)
        # Of what is not finite there are no vectors, and engines end in an
        # error of theirs; whoever handles such values is to see one.
        is_finite = ops.all(ops.isfinite(gram))
        _, vectors = ops.eigh(frozen(ops.where(is_finite, gram, 0.0)))
        # In ascending order; before the smallest are those that are zero
        # because there are more samples than units, or samples left out.
        first = samples - ops.minimum(present, y.shape[-1])
        index = first + ops.arange(self.k)
        inside = ops.cast(index < samples, y.dtype)
        index = ops.minimum(index, samples - 1)
        smallest = frozen(ops.take(vectors, index, axis=1))
        along = ops.transpose(smallest) @ features
        value = ops.sum(inside * ops.sum(ops.square(along), axis=-1))
        return ops.where(is_finite, value, float("nan"))
