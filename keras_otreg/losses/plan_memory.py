"""State of a transport plan between training steps."""

import functools
from typing import Any

import keras
from keras import ops

from keras_otreg.ot import TransportSolution
from keras_otreg.ot.costs import Cost
from keras_otreg.ot.fixed_plan import RELATIVE, planner, running_costs


class PlanMemory(keras.layers.Layer):
    """Potentials to start the solver from, and running costs of neurons.

    `warm` says whether the solver starts from the last potentials, `shared`
    whether the replicas of a step solve one problem; without `momentum` there
    are no running costs. The variables are not trained, but saved. Where a step
    is not finite they stay as they were.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
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
        if momentum:
            costs = self.costs = self._zeros("costs", rows, columns)
            steps = self.steps = self._zeros("steps")
            self._update = functools.lru_cache(maxsize=4)(
                lambda cost: running_costs(cost, momentum, costs, steps)
            )
        if warm:
            self.g = self._zeros("g", columns)
        self.built = True

    def plan(
        self, cost: Cost, points: tuple[Any, ...], epsilon: float, solver: Any
    ) -> tuple[Any, TransportSolution]:
        """Update the memory, and solve for the plan of a training step."""
        dtype = points[0].dtype
        if self.costs is not None:
            self._update(cost)(*points)
            cost, points = RELATIVE, (ops.cast(self.costs, dtype),)
        solve = planner(cost, epsilon, solver)
        if self.g is None:
            return solve(*points)
        P, solution = solve(*points, g=ops.cast(self.g, dtype))
        self.g.assign(ops.cast(solution.g, self.g.dtype))
        return P, solution

    def _zeros(self, name, *shape):
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            trainable=False,
            name=name,
            aggregation=self._aggregation,
        )
