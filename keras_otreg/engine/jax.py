"""The engine of the JAX backend: each step is one compiled program."""

from typing import Any

import jax
import keras
from keras import ops

from keras_otreg.engine import base


class Engine(base.Engine):
    """JAX, where a step takes the values of variables and returns new ones."""

    # The state of the optimizer is elsewhere.
    losses_see_step = False

    def traced(self, function):
        return jax.jit(function)

    def outside_of_graphs(self):
        return jax.ensure_compile_time_eval()

    def matmul(self, x, y):
        return jax.numpy.matmul(x, y, precision="highest")

    def gradients(self, function, tensors):
        values, pullback, others = jax.vjp(function, tensors, has_aux=True)
        zeros = [jax.numpy.zeros_like(value) for value in values]
        found = [
            pullback([*zeros[:k], jax.numpy.ones_like(value), *zeros[k + 1 :]])
            for k, value in enumerate(values)
        ]
        return [gradients for (gradients,) in found], others

    def gate_gradient(self, x, gate):
        return _gate(x, gate)

    def step_is_compiled(self, model):
        return True

    def concrete_bool(self, flag):
        return None

    def train_step_with_rollback(self, model, train_step, arguments, counts):
        state, data = arguments
        logs, new = train_step(state, data)
        # Weights, other variables, those of the optimizer, and of metrics.
        *kept, metrics = new
        index = [id(x) for x in model.metrics_variables].index(id(counts))
        undo = ops.any(metrics[index] > 0.0)
        kept = [
            [ops.where(undo, *pair) for pair in zip(before, after, strict=True)]
            for before, after in zip(state[:3], kept, strict=True)
        ]
        return logs, (*kept, metrics)

    def with_variable_values(self, arguments, model, values):
        state, *others = arguments
        trainable, non_trainable, *rest = state
        new = {id(variable): value for variable, value in values}
        pairs = zip(model.non_trainable_variables, non_trainable, strict=True)
        non_trainable = [new.get(id(x), value) for x, value in pairs]
        return ((trainable, non_trainable, *rest), *others)

    def sync_variables(self, model):
        model.jax_state_sync()

    def call_with_losses(self, layer, inputs, training):
        values = [(variable, variable.value) for variable in layer.variables]
        scope: Any = keras.StatelessScope(values, collect_losses=True)
        with scope:
            outputs = layer(inputs, training=training)
            losses = layer.losses
        for variable, value in values:
            new = scope.get_current_value(variable)
            if new is not value:
                variable.assign(new)
        return outputs, losses


_gate = jax.custom_vjp(lambda x, gate: (x, gate))
_gate.defvjp(
    lambda x, gate: ((x, gate), None), lambda _, upstream: base.gated(*upstream)
)
