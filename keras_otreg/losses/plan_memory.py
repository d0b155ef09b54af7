"""State of a transport plan between training steps."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_otreg.ot.costs import Cost
from keras_otreg.ot.fixed_plan import Given, Plan, running_costs


class PlanMemory(keras.layers.Layer):
    """Potentials to start the solver from, and running costs.

    A neuron keeps its index from step to step, and so do its potential and
    its costs. The variables are not trained; they are saved with their owner.
    Where a step is not finite they stay as they were.

    Args:
        rows: Number of teacher neurons.
        columns: Number of student neurons.
        cost: A `Cost`.
        momentum: See `running_costs`; 0 for none.
        warm: Whether the solver starts from the last potentials.
        shared: Whether the replicas of a distributed step solve one problem.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        cost: Cost,
        momentum: float,
        *,
        warm: bool,
        shared: bool = True,
    ):
        super().__init__(name="plan_memory", dtype="float32", trainable=False)
        # Replicas that solve one problem have the same values: nothing is sent.
        self._aggregation = "none" if shared else "mean"
        self.costs: Any = None
        self.g: Any = None
        self._average: Any = None
        if momentum:
            self.costs = self._zeros("costs", rows, columns)
            self.steps = self._zeros("steps")
            held = self.costs, self.steps
            self._average = running_costs(cost, momentum, *held)
            self._average_of_costs = running_costs(Given(), momentum, *held)
        if warm:
            self.g = self._zeros("g", columns)
        self.built = True

    def average(self, x: Any, y: Any, *weights: Any) -> Any:
        """The running costs, up to a step.

        Args:
            x: Points of that step, of shape `(rows, d)`.
            y: Points of shape `(columns, d)`.
            *weights: Of the coordinates, where the cost takes them.

        Returns:
            Costs of shape `(rows, columns)` and mean one.
        """
        self._average(x, y, *weights)
        return ops.cast(self.costs, x.dtype)

    def average_of_costs(self, C: Any) -> Any:
        """The running costs, up to a step whose costs are known."""
        self._average_of_costs(C)
        return ops.cast(self.costs, C.dtype)

    def plan(self, plan: Callable[..., Plan], *known: Any) -> Plan:
        """The optimal plan of a training step.

        Args:
            plan: What a `planner` of `fixed_plan` returned.
            *known: Points or costs, as it takes them.

        Returns:
            What `plan` returned.
        """
        if self.g is None:
            return plan(*known)
        made = plan(*known, g=ops.cast(self.g, known[0].dtype))
        self.g.assign(ops.cast(made.g, self.g.dtype))
        return made

    def _zeros(self, name, *shape):
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            trainable=False,
            name=name,
            aggregation=self._aggregation,
        )
