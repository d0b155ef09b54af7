"""Interface of an engine, with the behaviour of one that runs eagerly."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import ops

Function = Callable[..., Any]


class Engine:
    """Everything in this package that differs between backends of Keras.

    The methods are those of an engine without compiler, graphs and replicas,
    in which gradients are taken by nobody. Subclasses override what they can
    do better. No method keeps state between two steps.
    """

    # Programs.

    def compiled(self, function: Function) -> Function:
        """Compile a function into one program, where that is faster.

        On TensorFlow XLA compiles it, in whatever step it is called. JAX
        compiles the whole step anyway. The function takes and returns
        structures of tensors, has no side effects and no gradient.
        """
        return function

    def traced(self, function: Function) -> Function:
        """Trace a function of tensors into a graph, where there are graphs."""
        return function

    def remat(self, function: Function, jit_compile: bool) -> Function:
        """Recompute a function in the backward pass instead of storing it.

        The function takes tensors and returns one, without side effects;
        `jit_compile` says whether both passes may be `compiled`.
        """
        del jit_compile
        return keras.remat(function)

    def in_place_update(
        self, function: Function, variables: Sequence[Any], jit_compile: bool
    ) -> Callable[..., None]:
        """Make a function that assigns the next values of variables.

        If it is `compiled`, the variables are overwritten in place: no second
        tensor of their size is needed. Replicas of a distributed step agree
        on the values first.

        Args:
            function: Takes tensors, followed by the values of the variables
                in the dtype of the first tensor; returns the next values, of
                the same shapes. No gradient may pass through it.
            variables: Keras variables.
            jit_compile: Whether it may be `compiled`.
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

    def outside_of_graphs(self) -> contextlib.AbstractContextManager:
        """Return a context that computes with constants, even in a trace."""
        return contextlib.nullcontext()

    def no_side_effects(self) -> contextlib.AbstractContextManager:
        """Return a context in which a step changes nothing.

        It goes around a `keras.StatelessScope`, which leaves out variables
        that are overwritten in place and the random numbers of PyTorch.
        """
        return contextlib.nullcontext()

    # Numbers.

    def matmul(self, x: Any, y: Any) -> Any:
        """Return the product of matrices of one dtype at full precision."""
        return x @ y

    def rounds_matmul(self) -> bool:
        """Return whether `matmul` may round float32 factors to 11 bits."""
        return False

    # Gradients.

    def gradients(
        self,
        function: Callable[[list[Any]], tuple[list[Any], Any]],
        tensors: list[Any],
    ) -> tuple[list[list[Any]], Any]:
        """Gradients of several scalars in several tensors, outside a step.

        Args:
            function: Takes a list of tensors; returns a list of scalars, and
                a structure of tensors.
            tensors: Floating point tensors at which to take the gradients.

        Returns:
            For each scalar a list of gradients of the shapes of `tensors`,
            zero where it does not depend on one; and the structure.
        """
        raise NotImplementedError

    def gate_gradient(self, x: Any, gate: Any) -> tuple[Any, Any]:
        """Return a tensor whose gradient is zero unless its gate has one.

        Zero times NaN is NaN: a value that `where` leaves out may still have
        a gradient. Add the gate to that value inside the `where`; the gradient
        then passes through `x` only if the value was selected.

        Args:
            x: A tensor of any shape.
            gate: A scalar, zero.

        Returns:
            The tensor and the gate, with the values that were given.
        """
        raise NotImplementedError

    # Steps of training.

    def step_is_compiled(self, model: keras.Model) -> bool:
        """Return whether a step is compiled, and so cannot stop early."""
        del model
        return False

    def losses_see_step(self) -> bool:
        """Return whether a loss can read how many steps were made."""
        return True

    def optimizer_step(self, optimizer: Any) -> Any:
        """Return the steps that an optimizer made; 0 if no loss sees them."""
        if optimizer is None or not self.losses_see_step():
            return 0
        return optimizer.iterations

    def concrete_bool(self, flag: Any) -> bool | None:
        """Return the value of a boolean scalar; `None` if it is symbolic."""
        return bool(flag)

    def stop_graph_if(
        self, flag: Any, x: Any, message: str, before: Callable[[], None]
    ) -> Any:
        """Return a tensor; let a TensorFlow graph fail before its gradient.

        XLA has no way to fail, nor have the other engines: there only the
        tensor is returned.

        Args:
            flag: A boolean scalar, whether to fail.
            x: A tensor of floating point numbers.
            message: Of the error, a `tf.errors.InvalidArgumentError`.
            before: Called in the graph before it fails; assigns variables.
        """
        del flag, message, before
        return x

    def is_graph_error(self, error: BaseException) -> bool:
        """Return whether an error may come from `stop_graph_if`."""
        del error
        return False

    def train_step_with_rollback(
        self,
        model: keras.Model,
        train_step: Function,
        arguments: tuple[Any, ...],
        counts: keras.Variable,
    ) -> Any:
        """Run a step, and restore the variables if it was non-finite.

        Args:
            model: A compiled model. Its weights, other variables and those of
                its optimizer go back; those of metrics do not.
            train_step: The `train_step` of Keras for that model.
            arguments: Its arguments.
            counts: A variable of a metric of the model; the step is rolled back
                if any of its numbers is positive after the step.
        """
        variables = [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
        ]
        before = [ops.copy(variable) for variable in variables]
        result = train_step(*arguments)
        undo = self.any_replica(ops.any(counts.value > 0.0))
        for variable, value in zip(variables, before, strict=True):
            variable.assign(ops.where(undo, value, variable.value))
        return result

    def with_variable_values(
        self,
        arguments: tuple[Any, ...],
        model: keras.Model,
        values: Iterable[tuple[keras.Variable, Any]],
    ) -> tuple[Any, ...]:
        """Return arguments of a step that use new values of variables.

        The variables are not trainable and were assigned already. On JAX the
        arguments hold the values of all variables; elsewhere nothing is to do.
        """
        del model, values
        return arguments

    def sync_variables(self, model: keras.Model) -> None:
        """Give a model its variables back after an error in a step."""

    def call_with_losses(
        self, layer: keras.Layer, inputs: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Return the outputs of a built layer, and the losses it adds."""
        return layer(inputs, training=training), layer.losses

    # Replicas of a distributed step.

    def num_replicas(self, model: keras.Model | None = None) -> int:
        """Return how many devices share the current step, or train a model."""
        del model
        return 1

    def is_replicated(self) -> bool:
        """Return whether the calling code runs on several replicas at once."""
        return False

    def strategy_scope(
        self, model: keras.Model
    ) -> contextlib.AbstractContextManager:
        """Return a scope that puts new variables on all devices of a model."""
        del model
        return contextlib.nullcontext()

    def scale_loss(self, loss: Any) -> Any:
        """Return a loss divided by the number of replicas.

        Keras does this to each loss, so that the sum over replicas is the
        loss of one device.
        """
        replicas = self.num_replicas()
        return loss if replicas == 1 else loss / replicas

    def unscale_loss(self, loss: Any) -> Any:
        """Return a loss times the number of replicas, as one device has it."""
        replicas = self.num_replicas()
        return loss if replicas == 1 else loss * replicas

    def all_reduce_sum(self, values: Any) -> Any:
        """Return the sum of tensors over all replicas of a step.

        It is for a loss that is the same on all replicas, of which Keras takes
        the mean, and which depends on the samples of this replica through such
        sums alone. Each replica then has the gradient in its own samples:
        nothing is sent in the backward pass.

        Args:
            values: A tensor or a list of tensors, of the same shapes on all
                replicas.
        """
        return values

    def all_gather(self, x: Any) -> Any:
        """Return the rows of all replicas, in the same order on each.

        The number of rows may differ between replicas; the gradient is as in
        `all_reduce_sum`.
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
