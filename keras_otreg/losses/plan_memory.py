"""What a transport plan keeps from one training step to the next."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_otreg.ot.fixed_plan import Plan


class PlanMemory(keras.layers.Layer):
    """Potentials to start the solver from, and a running mean of the costs.

    A neuron keeps its index from step to step, and so do its potential and
    its costs. The variables are not trained; they are saved with their owner.
    Where a step is not finite they stay as they were.

    Args:
        rows: Number of teacher neurons.
        columns: Number of student neurons.
        momentum: Share of the past in the costs; 0 for those of the batch.
        warm: Whether the solver starts from the last potentials.
    """

    def __init__(self, rows: int, columns: int, momentum: float, warm: bool):
        super().__init__(name="plan_memory", dtype="float32", trainable=False)
        self.costs = self._zeros("costs", rows, columns) if momentum else None
        self.g = self._zeros("g", columns) if warm else None
        self.built = True

    def plan(self, plan: Callable[..., Plan], x: Any, y: Any) -> Any:
        """The optimal plan of a training step.

        Args:
            plan: What `planner` returned.
            x: Points of shape `(rows, d)`.
            y: Points of shape `(columns, d)`.

        Returns:
            A plan of shape `(rows, columns)` and sum one, held constant.
        """
        # Costs start at zero: only their ratios matter to the plan.
        known = [
            None if variable is None else ops.cast(variable, x.dtype)
            for variable in (self.g, self.costs)
        ]
        made = plan(x, y, *known)
        for variable, value in ((self.g, made.g), (self.costs, made.C)):
            if variable is not None:
                variable.assign(ops.cast(value, variable.dtype))
        return made.P

    def _zeros(self, name, *shape):
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            trainable=False,
            name=name,
            # Each replica of a distributed step has a batch of its own.
            aggregation="mean",
        )
