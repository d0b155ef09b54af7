"""What all losses that solve a transport problem have in common."""

from typing import Any

import keras


class TransportLoss(keras.losses.Loss):
    """A Keras loss with a `solver`, which describes itself in full."""

    solver: Any

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all transport losses take."""
        return {
            "solver": keras.saving.serialize_keras_object(self.solver),
            "name": self.name,
            "reduction": self.reduction,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransportLoss":
        """Builds the loss that `get_config` described."""
        solver = keras.saving.deserialize_keras_object(config["solver"])
        return cls(**{**config, "solver": solver})
