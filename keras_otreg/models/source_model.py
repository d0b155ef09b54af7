"""The network of the source task, on its own."""

from typing import Any

import keras

from keras_otreg.features.taps import capture
from keras_otreg.saving import Composed, export


@export
class SourceModel(Composed, keras.Model):
    """The shared layers of a network under a second head.

    Args:
        network: A built `keras.Model`, shared with its owner.
        at: Path of the last layer that is shared.
        head: The second head, shared too.
        name: Name of the model.
    """

    def __init__(
        self, network: Any, at: str, head: Any, *, name: str = "source_model"
    ):
        super().__init__(name=name, dtype=network.dtype_policy, autocast=False)
        self.network = network
        self.at = at
        self.head = head
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: both parts are built."""

    def call(self, inputs, training=None):
        """Returns the second head's prediction."""
        _, found = capture(self.network, inputs, [self.at], training=training)
        return self.head(found[self.at], training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "at": self.at,
            "head": keras.saving.serialize_keras_object(self.head),
            "name": self.name,
        }
