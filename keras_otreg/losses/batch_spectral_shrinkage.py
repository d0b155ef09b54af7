"""Batch spectral shrinkage, against negative transfer."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.batch_loss import BatchLoss
from keras_otreg.ot.numerics import column, frozen, safe_sqrt
from keras_otreg.saving import export


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
        del x, a
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
