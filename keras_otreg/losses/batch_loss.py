"""What all losses of the batch as a whole have in common."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import (
    SPATIAL,
    samples_as_points,
    weight_of_samples,
)
from keras_otreg.losses.described_loss import DescribedLoss
from keras_otreg.ot.numerics import at_least_float32, column, safe_divide


class BatchLoss(DescribedLoss):
    """A loss with one `value` for two weighted sets of samples."""

    def __init__(
        self,
        *,
        name: str,
        spatial: str = "pool",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.spatial = checks.one_of(spatial, SPATIAL, "spatial")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The value, between weighted samples."""
        # `call` takes two arguments, and each may be a structure.
        return super().__call__(
            *(self._weighted(y, sample_weight) for y in (y_true, y_pred))
        )

    def call(self, y_true, y_pred):
        """The value between two pairs of (activations, weights)."""
        (x, a), (y, b) = self._points(*y_true), self._points(*y_pred)
        # With an axis: Keras divides what it reduces, and only that, by the
        # number of replicas over which it will sum.
        return ops.expand_dims(self.value(x, a, y, b), 0)

    def value(self, x: Any, a: Any, y: Any, b: Any) -> Any:
        """The value, a scalar.

        Args:
            x: Samples of the teacher, of shape `(n, units)`.
            a: Their weights, of shape `(n,)` and sum one, or all zero.
            y: Samples of the student, of shape `(m, units)`.
            b: Their weights, of shape `(m,)`.
        """
        raise NotImplementedError

    def get_config(self):
        """Returns the arguments that all losses of a batch take."""
        return {**super().get_config(), "spatial": self.spatial}

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
        if sample_weight is None:
            sample_weight = ops.ones(ops.shape(activations)[:1])
        weight = ops.cast(
            weight_of_samples(sample_weight),
            at_least_float32(activations).dtype,
        )
        checks.one_weight_each(activations.shape, weight.shape)
        return activations, safe_divide(weight, ops.sum(weight))


def centred(points: Any, weights: Any) -> Any:
    """Moves points of shape `(n, d)` so that their weighted mean is zero."""
    mean = ops.sum(column(weights) * points, axis=0, keepdims=True)
    return points - mean
