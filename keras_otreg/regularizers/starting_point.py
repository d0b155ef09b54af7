"""L2-SP: the distance of a weight from where it started."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.saving import Configurable, decode_array, export


@export
class StartingPoint(Configurable, keras.regularizers.Regularizer):
    """Pulls a weight towards its starting point (L2-SP).

    The penalty is `strength / 2 * sum((weight - start)^2)`, the convention of
    the paper, which uses a strength of 0.1.

    Args:
        start: Array of the shape of the weight.
        strength: Factor of the penalty.

    Example:
        ```python
        keras.layers.Dense(
            64, kernel_regularizer=StartingPoint(pretrained_kernel, 0.1)
        )
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018).
    """

    def __init__(self, start: Any, strength: float):
        self.start = checks.finite_array(decode_array(start), "start")
        self.strength = checks.non_negative(strength, "strength")

    def __call__(self, x):
        """The penalty of a weight."""
        if self.start.shape != tuple(x.shape):
            raise misfit(self.start.shape, x)
        start = ops.convert_to_tensor(self.start, dtype=x.dtype)
        return self.strength * half_squared_distance(start, x)


def misfit(start: Any, weight: Any, but: str = "") -> ValueError:
    """Return the error for a weight that does not fit its starting point."""
    # Keras gives the regulariser of a kernel to the two factors of LoRA too.
    return checks.invalid(
        f"a weight of the shape of its starting point, {tuple(start)}{but}",
        f"shape {tuple(weight.shape)}",
        "If its layer has LoRA, call `enable_lora` first and "
        "`add_starting_point` after it",
    )


def half_squared_distance(start: Any, x: Any) -> Any:
    """Half the sum of the squared differences of two tensors of one shape."""
    return 0.5 * ops.sum(ops.square(x - start))


@export
class Sum(Configurable, keras.regularizers.Regularizer):
    """Adds several regularisers of one weight.

    Called with a weight of any shape, it returns a scalar.

    Args:
        regularizers: Keras regularisers, or their names.

    Example:
        ```python
        both = otreg.regularizers.Sum(["l2", "l1"])
        layer = keras.layers.Dense(3, kernel_regularizer=both)
        ```
    """

    def __init__(self, regularizers: Any):
        self.regularizers = [
            checks.instance_of(
                keras.regularizers.get(regularizer),
                keras.regularizers.Regularizer,
                "regularizers",
                "Keras regularisers",
            )
            for regularizer in regularizers
        ]

    def __call__(self, x):
        """The sum of the penalties of a weight."""
        return sum(regularizer(x) for regularizer in self.regularizers)
