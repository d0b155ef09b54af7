"""What a transport plan keeps from one training step to the next."""

from typing import Any

import keras
from keras import ops

from keras_otreg.ot.numerics import frozen
from keras_otreg.ot.relative import relative_plan


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
        self.momentum = momentum
        self.costs = self._zeros("costs", rows, columns) if momentum else None
        self.g = self._zeros("g", columns) if warm else None
        self.built = True

    def plan(self, C: Any, epsilon: float, solver: Any) -> Any:
        """The optimal plan of a training step, as of `relative_plan`.

        Args:
            C: Costs of the batch, of shape `(rows, columns)`.
            epsilon: Entropic strength in units of the mean cost.
            solver: A solver.

        Returns:
            A plan of shape `(rows, columns)` and sum one, held constant.
        """

        def warm(problem):
            if self.g is None:
                return solver(problem)
            start = ops.zeros_like(problem.a), ops.cast(self.g, C.dtype)
            solution = solver(problem, init=start)
            _keep(self.g, solution.g)
            return solution

        return relative_plan(self._averaged(frozen(C)), epsilon, warm)

    def _averaged(self, C):
        if self.costs is None:
            return C
        # Starts at zero: only the ratios of costs matter to the plan.
        past = ops.cast(self.costs, C.dtype)
        mean = self.momentum * past + (1.0 - self.momentum) * C
        _keep(self.costs, mean)
        return mean

    def _zeros(self, name, *shape):
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            trainable=False,
            name=name,
            # Each replica of a distributed step has a batch of its own.
            aggregation="mean",
        )


def _keep(variable, value):
    is_finite = ops.all(ops.isfinite(value))
    value = ops.cast(value, variable.dtype)
    kept = ops.where(is_finite, value, ops.convert_to_tensor(variable))
    variable.assign(kept)
