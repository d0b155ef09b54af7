"""Centred kernel alignment between two layers."""

from keras import ops

from keras_otreg import checks
from keras_otreg.losses.batch_loss import BatchLoss, centred
from keras_otreg.ot.numerics import (
    column,
    of_unit_size,
    safe_divide,
    safe_sqrt,
)
from keras_otreg.saving import export


@export
class CenteredKernelAlignment(BatchLoss):
    """One minus the linear CKA of two layers.

    CKA is `|Y^T X|^2 / (|X^T X| |Y^T Y|)`, in the Frobenius norm, of
    activations centred over the samples. It compares how samples are alike in
    either layer, so the widths may differ; rotating, shifting or scaling all
    units of a layer together changes nothing. It is in [0, 1]; the loss is 1 if
    one of the layers is constant over the batch.

    Its arguments are those of `keras_otreg.losses.batch_loss.BatchLoss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., teacher units)`.
        y_pred: Student activations of shape `(batch, ..., student units)`.
        sample_weight: Shape `(batch,)`: the mass of each sample.

    Example:
        ```python
        loss = otreg.losses.CenteredKernelAlignment()
        penalty = otreg.Penalty(loss, at="features", teacher_at="avg_pool")
        ```

    References:
        Kornblith et al., "Similarity of neural network representations
        revisited" (ICML 2019).
    """

    def value(self, x, a, y, b):
        """One minus the alignment of two layers over weighted samples."""
        checks.same_samples(x.shape, y.shape)
        # One minus the cosine of two Gram matrices is half the squared
        # distance of their directions, which does not cancel where they meet.
        one, other = _direction(x, a), _direction(y, b)
        distance = ops.sum(ops.square(one - other))
        is_constant = [ops.logical_not(ops.any(d != 0.0)) for d in (one, other)]
        return ops.where(ops.logical_xor(*is_constant), 1.0, 0.5 * distance)


def _direction(points, weights):
    """Gram matrix of centred samples, of shape `(n, n)` and norm one."""
    points = centred(of_unit_size(points), weights)
    points = column(safe_sqrt(weights)) * points
    gram = points @ ops.transpose(points)
    return safe_divide(gram, safe_sqrt(ops.sum(ops.square(gram))))
