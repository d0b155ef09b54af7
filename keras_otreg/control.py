"""How a step of training is steered, on each engine below Keras."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def switched(x: Any, on: Any) -> tuple[Any, Any]:
    """Passes a tensor on, and its gradient back unless a switch has none.

    Zero times what is not finite is NaN: a value that `where` leaves out may
    still have a gradient. Add the switch to that value, inside the `where`:
    it then has a gradient only if the value is wanted.

    Args:
        x: A tensor.
        on: A scalar, zero.

    Returns:
        The tensor and the switch.
    """
    if keras.backend.backend() == "torch":
        import torch

        class Switched(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, on):
                return x.clone(), on.clone()

            @staticmethod
            def backward(ctx, dx, don):
                return _gradients_through(dx, don)

        return Switched.apply(x, on.requires_grad_())
    if keras.backend.backend() == "jax":
        import jax

        pair = jax.custom_vjp(lambda x, on: (x, on))
        pair.defvjp(
            lambda *both: (both, None), lambda _, up: _gradients_through(*up)
        )
        return pair(x, on)
    return _switch_of_tensorflow()(x, on)


def _gradients_through(dx, don):
    """The gradients of a tensor and its switch, given those after them."""
    return ops.where(don != 0.0, dx, ops.zeros_like(dx)), don


@functools.cache
def _switch_of_tensorflow():
    import tensorflow as tf

    switch = tf.custom_gradient(
        lambda x, on: ((tf.identity(x), tf.identity(on)), _gradients_through)
    )
    # TensorFlow never forgets the graph around a custom gradient: not a step's.
    return tf.function(switch, autograph=False, reduce_retracing=True)


def known_now(flag: Any) -> bool | None:
    """Whether a boolean tensor is true; `None` while a graph is traced."""
    if keras.backend.backend() == "jax":
        return None
    if keras.backend.backend() == "torch":
        return None if flag.device.type == "meta" else bool(flag)
    import tensorflow as tf

    return bool(flag) if tf.executing_eagerly() else None


def stopped_if(
    flag: Any, x: Any, message: str, undo: Callable[[], None]
) -> Any:
    """Stops a graph of TensorFlow before any gradient through a tensor.

    XLA knows no such thing: there the tensor is only passed on.

    Args:
        flag: A boolean scalar; whether to stop.
        x: The tensor.
        message: In the error, a `tf.errors.InvalidArgumentError`.
        undo: What to do before. It assigns to variables.

    Returns:
        The tensor.
    """
    if keras.backend.backend() != "tensorflow":
        return x
    import tensorflow as tf

    def undone():
        undo()
        return tf.constant(True)

    with tf.control_dependencies([tf.cond(flag, undone, lambda: False)]):
        check = tf.debugging.Assert(tf.logical_not(flag), [message])

    # Its gradient is multiplied by the one, and so waits as well.
    with tf.control_dependencies([check]):
        one = tf.identity(tf.ones((), x.dtype))
    return x * one


def is_of_graph(error: BaseException) -> bool:
    """Whether an error may be the one by which `stopped_if` ends a graph."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(error, tf.errors.OpError)


def step_of(optimizer: Any) -> Any:
    """How many steps an optimizer has made, as far as a loss may know.

    A step on JAX does not see what the optimizer holds: there it is 0.
    """
    if optimizer is None or keras.backend.backend() == "jax":
        return 0
    return optimizer.iterations


def num_replicas(model: keras.Model) -> int:
    """Over how many devices a model was made to be trained."""
    strategy = getattr(model, "distribute_strategy", None)
    return getattr(strategy, "num_replicas_in_sync", 1)


def on_any_replica(flag: Any) -> Any:
    """Whether a boolean scalar is true on any device of the current step."""
    if keras.backend.backend() != "tensorflow":
        return flag
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return flag
    return context.all_reduce("SUM", tf.cast(flag, "float32")) > 0.0


def reattach(model: keras.Model) -> None:
    """Gives a model its variables back, after an error, where Keras has not.

    On JAX they are elsewhere while it is trained or evaluated.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
