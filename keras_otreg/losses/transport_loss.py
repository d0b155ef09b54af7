"""What all losses that solve a transport problem have in common."""

from typing import Any

import keras

from keras_otreg.losses.described_loss import DescribedLoss


class TransportLoss(DescribedLoss):
    """A Keras loss with a `solver`, which describes itself in full."""

    solver: Any

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all transport losses take."""
        solver = keras.saving.serialize_keras_object(self.solver)
        return {**super().get_config(), "solver": solver}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransportLoss":
        """Builds the loss that `get_config` described."""
        solver = keras.saving.deserialize_keras_object(config["solver"])
        return cls(**{**config, "solver": solver})
