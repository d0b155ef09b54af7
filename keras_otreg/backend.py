"""What depends on the engine below Keras, and its only home."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

_has_effects = contextvars.ContextVar("has_effects", default=True)


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

    # TensorFlow never forgets the graph around a custom gradient: not a step's.
    return tf.function(call, autograph=False)


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

    def chosen(*arguments):
        plain = tf.distribute.has_strategy() or not _has_effects.get()
        return (update if plain else in_place)(*arguments)

    return chosen


def runs_side_by_side() -> bool:
    """Whether `compiled` programs run at once, on cores with own caches."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return {x.device_type for x in tf.config.list_logical_devices()} == {"CPU"}


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """Within it, new variables are on all devices that a model is on."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    return model.distribute_strategy.scope()


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes one graph of a function of tensors, where the engine has graphs.

    Args:
        function: Of structures of tensors, without side effects.

    Returns:
        A function of the same arguments.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def outside_of_graphs() -> contextlib.AbstractContextManager:
    """Within it, operations on constants run at once, also in a trace."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.init_scope()
    if keras.backend.backend() == "jax":
        import jax

        return jax.ensure_compile_time_eval()
    return contextlib.nullcontext()


@contextlib.contextmanager
def without_effects() -> Iterator[None]:
    """Within the block, what Keras does not see has no effects either.

    A `keras.StatelessScope` keeps variables as they are. Beside it there are
    variables that are overwritten in place, and the random numbers of PyTorch.
    """
    token = _has_effects.set(False)
    forked: Any = contextlib.nullcontext()
    if keras.backend.backend() == "torch":
        import torch

        forked = torch.random.fork_rng()
    try:
        with forked:
            yield
    finally:
        _has_effects.reset(token)


def gradients(
    function: Callable[[list[Any]], tuple[list[Any], Any]], tensors: list[Any]
) -> tuple[list[list[Any]], Any]:
    """Gradients of several scalars in several tensors, outside of training.

    Args:
        function: Of a list of tensors; returns a list of scalars, and what
            else is wanted of it, in tensors.
        tensors: Where to take the gradients.

    Returns:
        For each scalar, a list of gradients of the shapes of the tensors; and
        what else the function returned.
    """
    return _GRADIENTS[keras.backend.backend()](function, tensors)


def _tensorflow_gradients(function, tensors):
    import tensorflow as tf

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        values, others = function(tensors)
    found = [
        tape.gradient(value, tensors, unconnected_gradients="zero")
        for value in values
    ]
    # The gradient of an embedding is a set of slices.
    return [[tf.convert_to_tensor(x) for x in each] for each in found], others


def _jax_gradients(function, tensors):
    import jax

    values, pullback, others = jax.vjp(function, tensors, has_aux=True)
    zeros = [jax.numpy.zeros_like(value) for value in values]
    found = [
        pullback([*zeros[:k], jax.numpy.ones_like(value), *zeros[k + 1 :]])[0]
        for k, value in enumerate(values)
    ]
    return found, others


def _torch_gradients(function, tensors):
    import torch

    tensors = [x.detach().requires_grad_() for x in tensors]
    values, others = function(tensors)
    if not tensors:
        return [[] for _ in values], others
    # What no tensor has a part in has no gradient: a zero that has one.
    values = [value + 0.0 * tensors[0].sum() for value in values]
    found = torch.autograd.grad
    how = {"retain_graph": True, "materialize_grads": True}
    return [found(value, tensors, **how) for value in values], others


_GRADIENTS = {
    "tensorflow": _tensorflow_gradients,
    "jax": _jax_gradients,
    "torch": _torch_gradients,
}
