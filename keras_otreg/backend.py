"""What depends on the engine below Keras, and its only home."""

import contextlib
import functools
from collections.abc import Callable, Sequence
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


def recomputed(
    function: Callable[..., Any], jit_compile: bool
) -> Callable[..., Any]:
    """Lets the backward pass run a function again, not keep what it made.

    Args:
        function: Of tensors, with a tensor as its value, without side effects.
        jit_compile: Whether both passes may be `compiled`.

    Returns:
        A function of the same arguments, whose gradients are the same.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.remat(function)
    import tensorflow as tf

    program = compiled if jit_compile else lambda each: each
    forward = program(function)

    @functools.cache
    def backward(k):
        # A program for each argument: what nobody asks for is not run.
        def gradient(upstream, *arguments):
            with tf.GradientTape() as tape:
                tape.watch(arguments[k])
                value = function(*arguments)
            return tape.gradient(value, arguments[k], upstream)

        return program(gradient)

    @tf.custom_gradient
    def call(*arguments):
        value = forward(*arguments)

        def gradients(upstream):
            # One after the other: side by side they need twice the memory.
            with tf.control_dependencies([value]):
                return [
                    backward(k)(upstream, *arguments)
                    for k in range(len(arguments))
                ]

        return value, gradients

    return call


def updating(
    function: Callable[..., Any], variables: Sequence[Any], jit_compile: bool
) -> Callable[..., None]:
    """Makes a function that gives variables their next values.

    `compiled`, it overwrites them in place: nothing of their size is needed
    beside them. Replicas of a distributed step agree on the values first.

    Args:
        function: Of tensors and the values of the variables, which returns
            the next values. No gradient may pass through it.
        variables: Keras variables.
        jit_compile: Whether it may be `compiled`.

    Returns:
        A function of the tensors.
    """
    program = compiled(function) if jit_compile else function

    def update(*arguments):
        dtype = arguments[0].dtype
        known = [keras.ops.cast(v, dtype) for v in variables]
        values = program(*arguments, *known)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(keras.ops.cast(value, variable.dtype))

    if keras.backend.backend() != "tensorflow" or not jit_compile:
        return update
    import tensorflow as tf

    in_place = compiled(update)
    return lambda *arguments: (
        update if tf.distribute.has_strategy() else in_place
    )(*arguments)


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


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """Within it, new variables are on all devices that a model is on."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    return model.distribute_strategy.scope()
