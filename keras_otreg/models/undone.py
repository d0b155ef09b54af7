"""Steps that XLA compiled, and that must not have happened."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_otreg import control


def undone(model: Any, step: Callable[[Any], Any], data: Any) -> Any:
    """A step on TensorFlow; after an incident all that it did is undone.

    A compiler makes one pass over the weights of the step and of this.

    Args:
        model: A guarded model.
        step: The `train_step` of Keras.
        data: Its argument.

    Returns:
        The logs of the step.
    """
    variables = [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]
    before = [ops.copy(variable) for variable in variables]
    logs = step(data)
    stop = control.on_any_replica(model.incidents.happened())
    for variable, value in zip(variables, before, strict=True):
        variable.assign(ops.where(stop, value, variable.value))
    return logs


def undone_on_jax(
    model: Any, step: Callable[[Any, Any], Any], state: Any, data: Any
) -> Any:
    """The same on JAX, where a step is given values and returns new ones."""
    logs, new = step(state, data)
    # Weights, other variables, those of the optimizer, and of metrics.
    *kept, metrics = new
    counts = model.incidents.counts
    index = [id(x) for x in model.metrics_variables].index(id(counts))
    stop = ops.any(metrics[index] > 0.0)
    kept = [
        [ops.where(stop, *pair) for pair in zip(before, after, strict=True)]
        for before, after in zip(state[:3], kept, strict=True)
    ]
    return logs, (*kept, metrics)
