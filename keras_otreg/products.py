"""Products of matrices, as exact as the engine below Keras can be asked."""

from typing import Any

import keras


def product(x: Any, y: Any) -> Any:
    """Product of matrices, by factors of all their bits where one can ask."""
    if keras.backend.backend() != "jax":
        return x @ y
    import jax

    return jax.numpy.matmul(x, y, precision="highest")


def rounds_factors() -> bool:
    """Whether `product` may round factors in float32 to eleven bits."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        known = tf.config.experimental
        is_on = known.tensor_float_32_execution_enabled()
        return is_on and bool(tf.config.list_logical_devices("GPU"))
    if keras.backend.backend() == "torch":
        import torch

        is_on = torch.get_float32_matmul_precision() != "highest"
        return is_on and torch.cuda.is_available()
    return False
