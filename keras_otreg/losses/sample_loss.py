"""Base class of losses with a value for each sample."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import weight_of_samples
from keras_otreg.losses.base import ActivationLoss
from keras_otreg.ot.numerics import at_least_float32, safe_divide


class SampleLoss(ActivationLoss):
    """A loss whose `values` are one for each sample.

    The default reduction divides by the sum of the weights, so that a sample of
    weight 0 is left out.
    """

    def __init__(
        self, *, reduction: str = "mean_with_sample_weight", **options: Any
    ):
        super().__init__(reduction=reduction, **options)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the reduced values of weighted samples."""
        # A new tensor: the old one may carry a Keras mask of its positions.
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype) * 1
        if sample_weight is not None:
            sample_weight = sample_weights(sample_weight, y_pred)
        value = super().__call__(y_true, y_pred, sample_weight)
        return self._of_all_replicas(value, y_pred, sample_weight)

    def _of_all_replicas(self, value, y_pred, sample_weight):
        """A mean over the samples of all, where Keras takes one of means."""
        is_mean = self.reduction not in (None, "none", "sum")
        if not (is_mean and engine.is_replicated()):
            return value
        own = ops.cast(ops.shape(y_pred)[0], value.dtype)
        weighs = self.reduction == "mean_with_sample_weight"
        if weighs and sample_weight is not None:
            own = ops.cast(ops.sum(sample_weight), value.dtype)
        share = safe_divide(own, engine.all_reduce_sum(own))
        return engine.unscale_loss(value * share)

    def call(self, y_true, y_pred):
        """Return values of shape `(batch,)`."""
        checks.same_samples(y_true.shape, y_pred.shape)
        return self.values(at_least_float32(y_true), at_least_float32(y_pred))

    def values(self, teacher: Any, student: Any) -> Any:
        """Return values `(batch,)` for activations `(batch, ..., units)`."""
        raise NotImplementedError

    def adapter(
        self, teacher: tuple[Any, ...], student: tuple[Any, ...]
    ) -> keras.layers.Layer | None:
        """Make the layer through which the loss sees the student, if any.

        A `TransferModel` builds, applies, trains and saves it.
        """
        return None


def mean_over_positions(maps: Any) -> Any:
    """Average `(batch, ..., units)` to `(batch, units)`."""
    inner = tuple(range(1, len(maps.shape) - 1))
    return ops.mean(maps, axis=inner) if inner else maps


def sample_weights(sample_weight: Any, activations: Any) -> Any:
    """Return one weight per sample: a mean over positions, or one for all."""
    weights = ops.convert_to_tensor(sample_weight)
    weights = ops.cast(
        weight_of_samples(weights), at_least_float32(activations).dtype
    )
    if not len(weights.shape):
        weights = ops.broadcast_to(weights, ops.shape(activations)[:1])
    count, expected = weights.shape[0], activations.shape[0]
    if count != expected and None not in (count, expected):
        raise checks.invalid(
            "a `sample_weight` for each sample",
            f"{count} weights for activations of shape "
            f"{tuple(activations.shape)}",
        )
    return weights
