"""The behaviour regulariser of DELTA."""

from typing import Any

from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import match_positions
from keras_otreg.losses.sample_loss import SampleLoss, mean_over_positions
from keras_otreg.saving import decode_array, export


@export
class FeatureMap(SampleLoss):
    """Squared distance between feature maps, channel by channel (DELTA).

    For each sample it is `1/2 sum_c channels * w[c] * |teacher[c] -
    student[c]|^2 / positions`, with weights `w` of sum one. The authors' code
    adds up the samples of a batch, and without attention the positions too:
    their alpha is the weight of the penalty over the batch size, or over the
    batch size and the number of positions.

    Args:
        channel_weights: What each channel counts, of shape `(channels,)` and
            sum one: DELTA's attention, see
            `keras_otreg.features.channel_weights`. If not given, all channels
            count the same.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., channels)`.
        y_pred: Student activations of as many channels. Maps of unequal size
            are averaged down to the smaller.
        sample_weight: Shape `(batch,)`.

    Example:
        ```python
        w = otreg.features.channel_weights(teacher, "block3_out", batches)
        penalty = otreg.Penalty(otreg.losses.FeatureMap(w), at="block3_out")
        ```

    References:
        Li et al., "DELTA: deep learning transfer using feature map with
        attention for convolutional networks" (ICLR 2019), and the authors'
        code, lixingjian/DELTA.
    """

    def __init__(self, channel_weights: Any = None, **options: Any):
        super().__init__(**options)
        self.channel_weights = (
            None
            if channel_weights is None
            else _distribution(decode_array(channel_weights))
        )

    def values(self, teacher, student):
        """Half the weighted squared distances, of shape `(batch,)`."""
        checks.equal_channels(
            teacher.shape,
            student.shape,
            "Use `keras_otreg.losses.RepresentationTransport`, for which "
            "widths may differ.",
        )
        teacher, student = match_positions(teacher, student)
        squared = mean_over_positions(ops.square(teacher - student))
        if self.channel_weights is not None:
            squared = squared * self._relative_weights(squared)
        return 0.5 * ops.sum(squared, axis=-1)

    def _relative_weights(self, squared):
        """The weights of the channels, of mean one."""
        channels, shape = squared.shape[-1], self.channel_weights.shape
        if shape != (channels,):
            raise checks.invalid(
                f"`channel_weights` of shape {(channels,)}, for activations of "
                f"{channels} channels",
                f"shape {shape}. They belong to another layer",
            )
        return ops.convert_to_tensor(
            channels * self.channel_weights, dtype=squared.dtype
        )


def _distribution(weights):
    weights = checks.finite_array(weights, "channel_weights", least_rank=1)
    is_one = (weights >= 0).all() and abs(weights.sum() - 1) < 1e-3
    if weights.ndim > 1 or not is_one:
        raise checks.invalid(
            "non-negative weights of shape (channels,) and sum one",
            f"shape {weights.shape}, smallest {weights.min()}, sum "
            f"{weights.sum()}",
            argument="channel_weights",
        )
    return weights
