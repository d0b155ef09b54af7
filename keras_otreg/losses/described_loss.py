"""What all losses between activations have in common."""

from typing import Any

import keras


class DescribedLoss(keras.losses.Loss):
    """A Keras loss that describes itself in full: Keras leaves out `dtype`."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all losses take."""
        return {
            "name": self.name,
            "reduction": self.reduction,
            "dtype": self.dtype,
        }
