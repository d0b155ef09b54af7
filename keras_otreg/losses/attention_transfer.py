"""Attention transfer between maps."""

from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import match_positions
from keras_otreg.losses.sample_loss import SampleLoss
from keras_otreg.ot.numerics import of_unit_size, safe_divide, safe_sqrt
from keras_otreg.saving import export


@export
class AttentionTransfer(SampleLoss):
    """Squared difference between normalised attention maps.

    The attention of a map of activations is the mean of their squares over
    the channels, as a vector over the positions, divided by its norm. For
    each sample the loss is the mean over positions of the squared difference
    of the two, as in the authors' code, where its weight is 1000; the paper
    has the norm of the difference instead. The numbers of channels may differ.

    Its arguments are `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., channels)`, with at
            least one axis of positions.
        y_pred: Student activations of the same rank. Maps of unequal size are
            averaged down to the smaller.
        sample_weight: Shape `(batch,)`.

    Example:
        ```python
        otreg.Penalty(
            otreg.losses.AttentionTransfer(), at="block3_out", weight=1000.0
        )
        ```

    References:
        Zagoruyko and Komodakis, "Paying more attention to attention" (ICLR
        2017), and the authors' code, szagoruyko/attention-transfer.
    """

    def values(self, teacher, student):
        """Mean squared differences of attention, of shape `(batch,)`."""
        if len(student.shape) < 3:
            raise checks.invalid(
                "maps of shape (batch, ..., channels), with positions between",
                f"shape {tuple(student.shape)}",
                "Choose a layer before the pooling.",
            )
        teacher, student = match_positions(teacher, student)
        difference = _attention(teacher) - _attention(student)
        inner = tuple(range(1, len(difference.shape)))
        return ops.mean(ops.square(difference), axis=inner)


def _attention(maps):
    """Attention of shape `(batch, ...)`, of norm one for each sample."""
    of_sample = tuple(range(1, len(maps.shape)))
    maps = of_unit_size(maps, axis=of_sample)
    energy = ops.mean(ops.square(maps), axis=-1)
    inner = tuple(range(1, len(energy.shape)))
    squared_norm = ops.sum(ops.square(energy), axis=inner, keepdims=True)
    return safe_divide(energy, safe_sqrt(squared_norm))
