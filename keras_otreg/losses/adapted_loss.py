"""The protocol of losses that need a layer to be trained."""

from typing import Any

import keras

from keras_otreg.losses.sample_loss import SampleLoss


class AdaptedLoss(SampleLoss):
    """A loss that sees the student through a layer trained for it.

    The loss says which layer; it never holds one. A `TransferModel` builds the
    layer, applies it to the student's activations before the loss, trains it
    and saves it. The same loss can so serve several penalties.
    """

    def adapter(
        self, teacher: tuple[Any, ...], student: tuple[Any, ...]
    ) -> keras.layers.Layer | None:
        """Make the layer between activations of two shapes.

        Args:
            teacher: Shape of the teacher's activations.
            student: Shape of the student's activations.

        Returns:
            A layer that is not built yet, or `None` if none is needed.
        """
        raise NotImplementedError
