"""Base class of losses of the batch as a whole."""

from typing import Any

from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import SPATIAL, samples_as_points
from keras_otreg.losses.base import (
    AcrossReplicas,
    ActivationLoss,
    sample_weights,
)
from keras_otreg.ot.numerics import (
    at_least_float32,
    column,
    frozen,
    safe_divide,
)


class BatchLoss(AcrossReplicas, ActivationLoss):
    """A loss with one `value` for two weighted sets of samples.

    Args:
        spatial: `"pool"` averages maps over positions; `"keep"` makes a
            channel at a position a unit.
        across_replicas: Whether replicas share their samples.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.
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
        super().__init__(**options)
        self.spatial = checks.one_of(spatial, SPATIAL, "spatial")
        self.across_replicas = checks.flag(across_replicas, "across_replicas")

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

    def samples(
        self, activations: Any, sample_weight: Any = None
    ) -> tuple[Any, Any]:
        """Samples of shape `(n, units)` as in the loss, and their weights."""
        return self._points(*self._weighted(activations, sample_weight))

    def _points(self, activations, weights):
        points = samples_as_points(at_least_float32(activations), self.spatial)
        return points, at_least_float32(weights)

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
        weight = sample_weights(sample_weight, activations)
        return activations, safe_divide(weight, self.total(ops.sum(weight)))


def centred(points: Any, weights: Any) -> Any:
    """Move points of shape `(n, d)` so that their weighted mean is zero."""
    return points - mean_of(points, weights)


def mean_of(points: Any, weights: Any) -> Any:
    """Contribution of points to a weighted mean, of shape `(1, d)`."""
    return ops.sum(column(weights) * points, axis=0, keepdims=True)


def _joined(points, weights):
    """The points of all replicas, of shape `(n, d)`, and their weights."""
    rows = ops.concatenate([points, column(weights)], axis=1)
    rows = engine.all_gather(rows)
    return rows[:, :-1], frozen(rows[:, -1])
