"""A layer that marks a representation."""

import keras

from keras_otreg.saving import export


@export
class FeatureTap(keras.layers.Layer):
    """Returns its input, and gives it a name to be captured by.

    Place it where a model has no layer of its own to name: after an operation,
    or inside the `call` of a subclassed model.

    Call arguments:
        inputs: A tensor of any shape.

    Example:
        ```python
        x = otreg.layers.FeatureTap(name="features")(x + shortcut)
        penalty = otreg.Penalty(loss, at="features")
        ```
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        """Returns its input."""
        return inputs

    def compute_output_shape(self, input_shape):
        """The shape of the input."""
        return input_shape
