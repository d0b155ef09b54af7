"""What the replicas of a distributed step do together, and its only home."""

from typing import Any

import keras


def num_replicas() -> int:
    """How many devices share the current step of training."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def unscaled(loss: Any) -> Any:
    """A loss as one device reports it.

    Keras divides each loss by the number of TensorFlow replicas, so that
    their sum is that of one device.
    """
    replicas = num_replicas()
    return loss if replicas == 1 else loss * replicas


def scaled(loss: Any) -> Any:
    """A loss as Keras wants it of each device; undone by `unscaled`."""
    replicas = num_replicas()
    return loss if replicas == 1 else loss / replicas


def is_shared() -> bool:
    """Whether the code at hand runs on several replicas at once."""
    return _replica() is not None


def logged(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs of a step such that Keras can take their mean over workers.

    Between several workers it takes it along an axis, which scalars have not
    (keras-team/keras, issue 20585).
    """
    if _replica() is None:
        return logs
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return logs
    if not strategy.cluster_resolver.cluster_spec().as_dict():
        return logs
    return {name: tf.reshape(value, [-1]) for name, value in logs.items()}


def total(values: Any) -> Any:
    """Adds up what each replica of a step has; alone, it is what it is.

    It is for a loss that is the same on all replicas, of which Keras takes
    the mean, and which sees this replica's samples through totals alone. Each
    then knows the gradient in its samples by itself: nothing is sent in the
    backward pass.

    Args:
        values: A tensor or a list of tensors, of the same shapes everywhere.

    Returns:
        The same structure, equal on all replicas.
    """
    context = _replica()
    if context is None:
        return values
    import tensorflow as tf

    @tf.custom_gradient
    def added(*tensors):
        sums = context.all_reduce("SUM", list(tensors))
        return sums, lambda *upstream: [
            each * context.num_replicas_in_sync for each in upstream
        ]

    sums = added(*tf.nest.flatten(values))
    return tf.nest.pack_sequence_as(values, tf.nest.flatten(sums))


def gathered(x: Any) -> Any:
    """Joins the rows that each replica of a step has, in one order for all.

    The gradient is as in `total`.

    Args:
        x: A tensor, whose first axis may differ from replica to replica.

    Returns:
        A tensor, equal on all replicas.
    """
    context = _replica()
    if context is None:
        return x
    import tensorflow as tf

    replicas = context.num_replicas_in_sync
    own = tf.convert_to_tensor(context.replica_id_in_sync_group)
    size = tf.shape(x)[0]
    sizes = context.all_reduce("SUM", tf.one_hot(own, replicas, size, 0))
    start = tf.reduce_sum(sizes[:own])

    @tf.custom_gradient
    def joined(x):
        rows = context.all_gather(x, axis=0)
        rows.set_shape([None, *x.shape[1:]])
        return rows, lambda upstream: replicas * upstream[start : start + size]

    return joined(x)


def _replica():
    """What TensorFlow knows of this replica; `None` if it is the only one."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    alone = context is None or context.num_replicas_in_sync == 1
    return None if alone else context
