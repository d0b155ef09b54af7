"""What distributed training does to the scale of a loss."""

from typing import Any

import keras


def unscaled(loss: Any) -> Any:
    """A loss as one device reports it.

    Keras divides each loss by the number of TensorFlow replicas, so that
    their sum is that of one device.
    """
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return loss if replicas == 1 else loss * replicas
