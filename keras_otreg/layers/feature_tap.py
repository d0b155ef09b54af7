"""A layer that names a tensor."""

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
        # The input is returned as it came, in its own dtype.
        super().__init__(**{"autocast": False, **kwargs})
        self.supports_masking = True

    def call(self, inputs):
        """Returns its input."""
        return inputs

    def compute_output_spec(self, inputs):
        """Output of the shape of the input."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)
