"""What depends on the engine below Keras, and its only home."""

from collections.abc import Callable
from typing import Any

import keras


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of tensors into one program, where that helps.

    On TensorFlow the function is compiled by XLA, whatever the step around it
    is; no gradient passes through it. JAX compiles the whole step anyway, and
    elsewhere the function stays as it is.

    Args:
        function: Of structures of tensors, without side effects.

    Returns:
        A function of the same arguments.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    if not tf.test.is_built_with_xla():
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def runs_side_by_side() -> bool:
    """Whether `compiled` programs run at once, on cores with own caches."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return {x.device_type for x in tf.config.list_logical_devices()} == {"CPU"}


def num_replicas() -> int:
    """How many devices share the current step of training."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
