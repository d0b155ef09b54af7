"""Distances between maps of activations, sample by sample."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features import points
from keras_otreg.losses.base import SampleLoss
from keras_otreg.ot.numerics import of_unit_size, safe_divide, safe_sqrt
from keras_otreg.saving import decode_array, export


@export
class AttentionTransfer(SampleLoss):
    """Squared difference between normalised attention maps.

    The attention of a map of activations is the mean of their squares over
    the channels, as a vector over the positions, divided by its norm. For
    each sample the loss is the mean over positions of the squared difference
    of the two, as in the authors' code, where its weight is 1000; the paper
    has the norm of the difference instead. The numbers of channels may differ.
    Maps have at least one axis of positions; those of unequal size are averaged
    down to the smaller. Its arguments are those of
    `keras_otreg.losses.base.SampleLoss`.

    Example:
        ```python
        loss = otreg.losses.AttentionTransfer()
        penalty = otreg.Penalty(loss, at="block3_out", weight=1000.0)
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
        teacher, student = points.match_positions(teacher, student)
        difference = _attention(teacher) - _attention(student)
        return points.mean_of_samples(ops.square(difference))


def _attention(maps):
    """Attention of shape `(batch, ...)`, of norm one for each sample."""
    of_sample = tuple(range(1, len(maps.shape)))
    maps = of_unit_size(maps, axis=of_sample)
    energy = ops.mean(ops.square(maps), axis=-1)
    inner = tuple(range(1, len(energy.shape)))
    squared_norm = ops.sum(ops.square(energy), axis=inner, keepdims=True)
    return safe_divide(energy, safe_sqrt(squared_norm))


@export
class FeatureMap(SampleLoss):
    """Squared distance between feature maps, channel by channel (DELTA).

    For each sample it is `1/2 sum_c channels * w[c] * |teacher[c] -
    student[c]|^2 / positions`, with weights `w` of sum one. The authors' code
    adds up the samples of a batch, and without attention the positions too.
    Maps of unequal size are averaged down to the smaller.

    Args:
        channel_weights: What each channel counts, of shape `(channels,)` and
            sum one: DELTA's attention, see
            `keras_otreg.features.channel_weights`. If not given, all channels
            count the same.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

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
        self.channel_weights = w = channel_weights
        if w is None:
            return
        name = "channel_weights"
        w = checks.finite_array(decode_array(w), name, least_rank=1)
        is_one = (w >= 0).all() and abs(w.sum() - 1) < 1e-3
        if w.ndim > 1 or not is_one:
            raise checks.invalid(
                "non-negative weights of shape (channels,) and sum one",
                f"shape {w.shape}, smallest {w.min()}, sum {w.sum()}",
                argument="channel_weights",
            )
        self.channel_weights = w

    def values(self, teacher, student):
        """Half the weighted squared distances, of shape `(batch,)`."""
        checks.equal_channels(
            teacher.shape,
            student.shape,
            "Use `keras_otreg.losses.RepresentationTransport`, for which "
            "widths may differ.",
        )
        teacher, student = points.match_positions(teacher, student)
        squared = points.samples_as_points(ops.square(teacher - student))
        if self.channel_weights is None:
            return 0.5 * ops.sum(squared, axis=-1)
        channels, shape = squared.shape[-1], self.channel_weights.shape
        if shape != (channels,):
            raise checks.invalid(
                f"`channel_weights` of shape {(channels,)}, for activations of "
                f"{channels} channels",
                f"shape {shape}. They belong to another layer",
            )
        relative = channels * self.channel_weights
        relative = ops.convert_to_tensor(relative, dtype=squared.dtype)
        return 0.5 * ops.sum(squared * relative, axis=-1)


@export
class Hint(SampleLoss):
    """Mean squared distance of activations, through an adapter (FitNets).

    For each sample it is the mean of `(teacher - adapter(student))^2` over
    positions and channels; the paper has half the sum. The adapter is a linear
    map of the channels with a bias, that is a convolution of size 1, which a
    `keras_otreg.TransferModel` trains and saves. There is none between layers
    of equal width.
    Maps of unequal size are averaged down to the smaller, where the paper
    chooses the size of its convolution so that they agree. Its arguments are
    those of `keras_otreg.losses.base.SampleLoss`.

    Example:
        ```python
        penalty = otreg.Penalty(otreg.losses.Hint(), at="features")
        model = otreg.TransferModel(narrow, teacher=wide, penalties=[penalty])
        model.adapters["hint"]  # a Dense layer, trained by `fit`
        ```

    References:
        Romero et al., "FitNets: hints for thin deep nets" (ICLR 2015).
    """

    def adapter(self, teacher, student):
        """A linear map to the teacher's width, if it is another."""
        if teacher[-1] == student[-1]:
            return None
        # Its weights are as precise as those of any layer under training.
        return keras.layers.Dense(teacher[-1], dtype="float32", name="adapter")

    def values(self, teacher, student):
        """Mean squared distances, of shape `(batch,)`."""
        checks.equal_channels(
            teacher.shape,
            student.shape,
            "A `keras_otreg.TransferModel` trains an adapter between them, if "
            "the input shape of the student is on record.",
        )
        teacher, student = points.match_positions(teacher, student)
        return points.mean_of_samples(ops.square(teacher - student))
