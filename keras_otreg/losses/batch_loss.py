"""Losses of the batch as a whole: distances between two sets of samples."""

from typing import Any

from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import SPATIAL, samples_as_points
from keras_otreg.losses import base
from keras_otreg.ot import Sinkhorn, costs
from keras_otreg.ot import numerics as num
from keras_otreg.ot.costs import gaussian_bank, squared_euclidean
from keras_otreg.ot.objectives import relative_divergence
from keras_otreg.ot.plan import mean_cost, relative_problem
from keras_otreg.saving import export


class BatchLoss(base.AcrossReplicas):
    """A loss with one `value` for two weighted sets of samples.

    Args:
        spatial: `"pool"` averages maps over positions; `"keep"` makes a
            channel at a position a unit.
        across_replicas: Whether replicas share their samples.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., units)`.
        y_pred: Student activations of shape `(batch, ..., units)`.
        sample_weight: Shape `(batch,)`: the mass of each sample, in both sets.
    """

    # Whether `value` sees samples through `total` alone. The replicas of a
    # distributed step then need not have the samples of all others.
    adds_up = False

    def __init__(
        self,
        *,
        spatial: str = "pool",
        across_replicas: bool = True,
        **options: Any,
    ):
        super().__init__(across_replicas=across_replicas, **options)
        self.spatial = checks.one_of(spatial, SPATIAL, "spatial")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the value, between weighted samples."""
        # `call` takes two arguments, and each may be a structure.
        pairs = (self._weighted(y, sample_weight) for y in (y_true, y_pred))
        return self._per_replica(super().__call__(*pairs))

    def call(self, y_true, y_pred):
        """The value between two pairs of (activations, weights)."""
        (x, a), (y, b) = self._points(*y_true), self._points(*y_pred)
        if self.is_shared and not self.adds_up:
            (x, a), (y, b) = _joined(x, a), _joined(y, b)
        # With an axis: Keras divides what it reduces, and only that, by the
        # number of replicas over which it will sum.
        return ops.expand_dims(self.value(x, a, y, b), 0)

    def value(self, x: Any, a: Any, y: Any, b: Any) -> Any:
        """Return a scalar for samples `(n, units)` with weights `(n,)`.

        `x` and `a` are the teacher's. Weights have the sum one, or are all 0.
        """
        raise NotImplementedError

    def samples(self, activations, sample_weight=None):
        """Samples of shape `(n, units)` as in the loss, and their weights."""
        return self._points(*self._weighted(activations, sample_weight))

    def _points(self, activations, weights):
        activations = num.at_least_float32(activations)
        points = samples_as_points(activations, self.spatial)
        return points, num.at_least_float32(weights)

    def _weighted(self, activations, sample_weight):
        """Activations, and weights of sum one."""
        activations = ops.convert_to_tensor(activations, self.dtype)
        if len(activations.shape) < 2:
            raise checks.invalid(
                "activations of shape (batch, ..., units)",
                f"shape {tuple(activations.shape)}",
                "Give a single unit an axis: (batch, 1)",
            )
        if sample_weight is None:
            sample_weight = ops.ones(ops.shape(activations)[:1])
        weight = base.sample_weights(sample_weight, activations)
        return activations, num.safe_divide(weight, self.total(ops.sum(weight)))


def mean_of(points: Any, weights: Any) -> Any:
    """Contribution of points to a weighted mean, of shape `(1, d)`."""
    return ops.sum(num.column(weights) * points, axis=0, keepdims=True)


def _joined(points, weights):
    """The points of all replicas, of shape `(n, d)`, and their weights."""
    rows = ops.concatenate([points, num.column(weights)], axis=1)
    rows = engine.all_gather(rows)
    return rows[:, :-1], num.frozen(rows[:, -1])


@export
class Coral(BatchLoss):
    """Distance between the covariances of two sets of samples.

    `|cov(teacher) - cov(student)|^2 / (4 units^2)`, in the Frobenius norm,
    with the unbiased covariance, which divides by the samples less one. Means
    do not matter, nor which sample is which. Both sets have as many units.

    Its arguments are those of `keras_otreg.losses.batch_loss.BatchLoss`.

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
        points = points - num.frozen(self.total(mean_of(points, weights)))
        products = ops.transpose(num.column(weights) * points) @ points
        own = ops.sum(ops.square(weights))
        products, own = self.total([products, own])
        # One over n less one, where all n weights are 1 / n.
        share = 1.0 - own
        return num.safe_divide(products, ops.where(share > 1e-6, share, 0.0))


@export
class MaximumMeanDiscrepancy(BatchLoss):
    """Squared distance of two sets of samples, by several Gaussian kernels.

    `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`, where `k` is the mean of
    five Gaussians `exp(-d^2 / (2 s^2))` with `s^2` at 1/4 to 4 times the mean
    squared distance between the two sets, held constant. DAN adds the kernels
    up, and takes the mean over both sets. Both sets have as many units.

    Args:
        unbiased: Whether to leave a sample's kernel with itself out of the
            first two means. The value may then be below zero.
        **options: `spatial`, `across_replicas`, `name`, `reduction` and
            `dtype`, as of `keras_otreg.losses.batch_loss.BatchLoss`.

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
        return num.safe_divide(others, ops.where(share > 1e-6, share, 0.0))


def _mean(kernel, a, b):
    return ops.sum(num.column(a) * num.row(b) * kernel)


@export
class SinkhornDivergence(BatchLoss, base.TransportLoss):
    """Distance between the teacher's and the student's sets of samples.

    Here a point is a sample and its coordinates are the units, the transpose
    of `RepresentationTransport`: which sample is where does not matter, the
    shape of the whole cloud does. Zero if and only if the clouds are equal.
    Both have as many units.

    Args:
        cost: Name of a cost in `keras_otreg.ot.costs`, or a cost function.
        epsilon: Entropic strength in units of the mean cost.
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`. It sees costs
            scaled to a mean of 1.
        **options: `spatial`, `across_replicas`, `name`, `reduction` and
            `dtype`, as of `keras_otreg.losses.batch_loss.BatchLoss`.

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
        C = costs.as_cost(self.cost)(x, y)
        problem = relative_problem(C, a, b, self.epsilon)
        return self._solve(problem, base.SAMPLES)


@export
class BatchSpectralShrinkage(BatchLoss):
    """The smallest singular values of a batch of features (BSS).

    It is the sum of the squares of the `k` smallest singular values of the
    matrix of samples by units, and shrinks the directions in which the features
    of a batch vary least. The teacher's activations are ignored. As in the
    paper, the value grows with the batch size. A sample of weight 0 is left
    out, and others are scaled by the root of their weight over the mean.

    Args:
        k: How many singular values, of the `min(batch, units)` there are.
        **options: `spatial`, `across_replicas`, `name`, `reduction` and
            `dtype`, as of `keras_otreg.losses.batch_loss.BatchLoss`.

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
        features = y * num.column(num.safe_sqrt(b * ops.cast(present, b.dtype)))
        gram = features @ ops.transpose(features)
        # Of what is not finite there are no vectors, and engines end in an
        # error of theirs; whoever handles such values is to see one.
        is_finite = ops.all(ops.isfinite(gram))
        _, vectors = ops.eigh(num.frozen(ops.where(is_finite, gram, 0.0)))
        # In ascending order; before the smallest are those that are zero
        # because there are more samples than units, or samples left out.
        first = samples - ops.minimum(present, y.shape[-1])
        index = first + ops.arange(self.k)
        inside = ops.cast(index < samples, y.dtype)
        index = ops.minimum(index, samples - 1)
        smallest = num.frozen(ops.take(vectors, index, axis=1))
        along = ops.transpose(smallest) @ features
        value = ops.sum(inside * ops.sum(ops.square(along), axis=-1))
        return ops.where(is_finite, value, float("nan"))
