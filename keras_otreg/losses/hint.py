"""The hints of FitNets."""

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import match_positions
from keras_otreg.losses.sample_loss import SampleLoss
from keras_otreg.saving import export


@export
class Hint(SampleLoss):
    """Mean squared distance of activations, through an adapter (FitNets).

    For each sample it is the mean of `(teacher - adapter(student))^2` over
    positions and channels; the paper has half the sum. The adapter is a linear
    map of the channels with a bias, that is a convolution of size 1, which a
    `keras_otreg.TransferModel` trains and saves. There is none between layers
    of equal width.

    Its arguments are `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., channels)`.
        y_pred: Student activations of the same rank, after the adapter. Maps
            of unequal size are averaged down to the smaller, where the paper
            chooses the size of its convolution so that they agree.
        sample_weight: Shape `(batch,)`.

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
        teacher, student = match_positions(teacher, student)
        inner = tuple(range(1, len(student.shape)))
        return ops.mean(ops.square(teacher - student), axis=inner)
