"""Interface of an engine, with the behaviour of one that runs eagerly."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Function = Callable[..., Any]


class Engine:
    """Everything in this package that differs between backends of Keras.

    The methods are those of an engine without compiler, graphs, replicas and
    gradients; subclasses override them. None keeps state between two steps.
    """

    # Whether a loss can read how many steps were made.
    losses_see_step = True

    def compiled(self, function: Function) -> Function:
        """Compile a function without side effects, where that is faster.

        No gradient passes. JAX compiles the whole step anyway.
        """
        return function

    def traced(self, function: Function) -> Function:
        """Trace a function of tensors into a graph, where there are graphs."""
        return function

    def remat(self, function: Function, jit_compile: bool) -> Function:
        """Recompute a function in the backward pass instead of storing it.

        It takes tensors and returns one, without side effects; `jit_compile`
        says whether both passes may be `compiled`.
        """
        return keras.remat(function)

    def in_place_update(self, function, variables, jit_compile):
        """Make a function that assigns the next values of variables.

        `function` takes tensors, followed by the values of the variables in
        the dtype of the first tensor, and returns the next values, on which
        replicas agree. If it may be `compiled`, they are overwritten in place.
        """
        program = self.compiled(function) if jit_compile else function

        def update(*arguments):
            dtype = arguments[0].dtype
            current = [ops.cast(v, dtype) for v in variables]
            values = program(*arguments, *current)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(ops.cast(value, variable.dtype))

        return update

    def runs_programs_in_parallel(self) -> bool:
        """Return whether `compiled` programs run in parallel, one per core."""
        return False

    def outside_of_graphs(self) -> Any:
        """Return a context that computes with constants, even in a trace."""
        return contextlib.nullcontext()

    def no_side_effects(self) -> Any:
        """Return a context around a `StatelessScope`, which misses some state.

        That is variables overwritten in place, and PyTorch's random numbers.
        """
        return contextlib.nullcontext()

    def matmul(self, x: Any, y: Any) -> Any:
        """Return the product of matrices of one dtype at full precision."""
        return x @ y

    def rounds_matmul(self) -> bool:
        """Return whether `matmul` may round float32 factors to 11 bits."""
        return False

    def gradients(self, function: Function, tensors: list[Any]) -> Any:
        """Gradients of several scalars in several tensors, outside a step.

        `function` takes a list of tensors, and returns a list of scalars and a
        structure. Returns a list of gradients for each scalar; the structure.
        """
        raise NotImplementedError

    def gate_gradient(self, x: Any, gate: Any) -> tuple[Any, Any]:
        """Return a tensor whose gradient is zero unless its gate has one.

        Zero times NaN is NaN: a value that `where` leaves out may still have
        a gradient. Add the returned gate, a zero, to that value inside the
        `where`: a gradient passes through `x` only if the value was selected.
        """
        raise NotImplementedError

    def step_is_compiled(self, model: keras.Model) -> bool:
        """Return whether a step is compiled, and so cannot stop early."""
        return False

    def concrete_bool(self, flag: Any) -> bool | None:
        """Return the value of a boolean scalar; `None` if it is symbolic."""
        return bool(flag)

    def stop_graph_if(self, flag, x, message, before):
        """Return `x`; let a TensorFlow graph fail before its gradient.

        If the boolean scalar `flag` is true, the graph calls `before`, which
        may assign variables, and raises a `tf.errors.InvalidArgumentError`.
        XLA has no way to fail, nor have the other engines.
        """
        return x

    def is_graph_error(self, error: BaseException) -> bool:
        """Return whether an error may come from `stop_graph_if`."""
        return False

    def train_step_with_rollback(self, model, train_step, arguments, counts):
        """Run a step; undo it, but for metrics, if any of `counts` is > 0."""
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        variables += model.optimizer.variables
        before = [ops.copy(variable) for variable in variables]
        result = train_step(*arguments)
        undo = self.any_replica(ops.any(counts.value > 0.0))
        for variable, value in zip(variables, before, strict=True):
            variable.assign(ops.where(undo, value, variable.value))
        return result

    def with_variable_values(self, arguments, model, values):
        """Return arguments of a step with new values of variables, for JAX."""
        return arguments

    def sync_variables(self, model: keras.Model) -> None:
        """Give a model its variables back after an error in a step."""

    def call_with_losses(self, layer, inputs, training):
        """Return the outputs of a built layer, and the losses it adds."""
        return layer(inputs, training=training), layer.losses

    def num_replicas(self, model: keras.Model | None = None) -> int:
        """Return how many devices share the current step, or train a model."""
        return 1

    def is_replicated(self) -> bool:
        """Return whether the calling code runs on several replicas at once."""
        return False

    def strategy_scope(self, model: keras.Model) -> Any:
        """Return a scope that puts new variables on all devices of a model."""
        return contextlib.nullcontext()

    def scale_loss(self, loss: Any) -> Any:
        """Return a loss divided by the number of replicas, as Keras does."""
        replicas = self.num_replicas()
        return loss if replicas == 1 else loss / replicas

    def unscale_loss(self, loss: Any) -> Any:
        """Return a loss times the number of replicas, as one device has it."""
        replicas = self.num_replicas()
        return loss if replicas == 1 else loss * replicas

    def all_reduce_sum(self, values: Any) -> Any:
        """Return the sums of one or more tensors over all replicas of a step.

        It is for a loss that is the same on all replicas, of which Keras takes
        the mean, and which depends on the samples of this replica through such
        sums alone: nothing is sent in the backward pass.
        """
        return values

    def all_gather(self, x: Any) -> Any:
        """Return the rows of all replicas, of which each may have its number.

        The gradient is as in `all_reduce_sum`.
        """
        return x

    def any_replica(self, flag: Any) -> Any:
        """Return whether a boolean scalar is true on any replica."""
        return flag

    def reducible_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Return logs of a step such that Keras can average them."""
        return logs


def gated(dx: Any, dgate: Any) -> tuple[Any, Any]:
    """Gradients that `Engine.gate_gradient` passes on, given those it gets."""
    return ops.where(dgate != 0.0, dx, ops.zeros_like(dx)), dgate
