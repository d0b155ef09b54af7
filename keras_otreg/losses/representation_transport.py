"""The regulariser of Representation Transfer by Optimal Transport."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import (
    SPATIAL,
    match_positions,
    units_as_points,
)
from keras_otreg.losses import base
from keras_otreg.ot import Sinkhorn, costs, fixed_plan
from keras_otreg.ot.numerics import at_least_float32, safe_divide
from keras_otreg.saving import export

# Plans without a solver: the controls of an ablation.
CONTROLS = ("identity", "uniform", "random")


@export
class RepresentationTransport(base.AcrossReplicas, base.TransportLoss):
    """Cost of transporting a teacher's neurons onto a student's.

    A neuron is a point, its activations on the batch. The loss is `<P, C>`,
    where `C[i, j]` is the distance between teacher neuron `i` and student
    neuron `j` and `P` is the optimal plan between them, held constant in the
    backward pass. The layers may have different widths. The value does not
    depend on the batch size.

    Args:
        cost: Name of a cost in `keras_otreg.ot.costs`, a `costs.Cost`, or a
            cost function; coordinates are samples.
        epsilon: Entropic strength in units of the mean cost. Towards 0 the
            plan becomes a matching, towards infinity it becomes uniform.
        plan: `"transport"`, or a control that shows whether the plan matters:
            `"identity"` (neuron i with neuron i), `"uniform"`, `"random"`.
        solver: A `keras_otreg.ot.Sinkhorn` or `ProximalPoint`. It sees costs
            scaled to a mean of 1.
        spatial: For maps `(batch, ..., channels)`, a channel is a neuron.
            `"pool"` averages over positions; `"keep"` compares the maps
            position by position, pooled to the smaller size where unequal.
        momentum: Weight of a training step in the running costs from which the
            plan is made, relative to the next step; 0 takes the costs of the
            batch alone. Acts only in the training steps of a `TransferModel`.
        **options: `across_replicas`, whether replicas share their samples, and
            `name`, `reduction` and `dtype` of a `keras.losses.Loss`. There is
            a value for each student neuron; their mean is the cost.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., teacher neurons)`.
        y_pred: Student activations of shape `(batch, ..., student neurons)`.
        sample_weight: Shape `(batch,)`. Weight 0 is leaving the sample out.

    Example:
        ```python
        loss = otreg.losses.RepresentationTransport()
        penalty = otreg.Penalty(loss, at="avg_pool", weight=1.0)
        P = loss.plan(teacher_activations, student_activations)
        ```

    References:
        Li, Grandvalet, Flamary, Courty and Dou, "Representation transfer by
        optimal transport" (2020), arXiv 2007.06737.
    """

    def __init__(
        self,
        cost: Any = "euclidean",
        epsilon: float = 0.05,
        *,
        plan: str = "transport",
        solver: Any = None,
        spatial: str = "pool",
        momentum: float = 0.9,
        **options: Any,
    ):
        super().__init__(**options)
        self.cost = costs.get(cost)
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.plan_name = checks.one_of(plan, ("transport", *CONTROLS), "plan")
        self.solver = checks.solver(solver or Sinkhorn())
        self.spatial = checks.one_of(spatial, SPATIAL, "spatial")
        expected = "a number from 0 to below 1"
        self.momentum = checks.number(
            momentum, "momentum", expected, lambda x: 0.0 <= x < 1.0
        )

    def __call__(self, y_true, y_pred, sample_weight=None, *, memory=None):
        """Return the transport cost; a `memory` of a training is updated."""
        values = self.call(y_true, y_pred, sample_weight, memory)
        # Keras reduces what a loss returns, here values that are at hand.
        reduced = keras.losses.Loss(reduction=self.reduction, dtype=self.dtype)
        reduced.call = lambda _, y_pred: y_pred
        return self._per_replica(reduced(values, values))

    def call(self, y_true, y_pred, sample_weight=None, memory=None):
        """Costs of shape `(student neurons,)`, whose mean is `<P, C>`."""
        cost, points = self._points(y_true, y_pred, sample_weight)
        P, _ = self._plan(cost, points, memory)
        return P.shape[1] * fixed_plan.column_costs(cost)(*points, P)

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """Return the plan between the neurons."""
        cost, points = self._points(teacher, student, sample_weight)
        P, solution = self._plan(cost, points, memory)
        if solution is None:
            return base.SolvedPlan(P, base.NEURONS)
        return self._solved_plan(P, base.NEURONS, solution)

    def memory(self, teacher, student):
        """Potentials, and running costs if there is momentum."""
        warm = isinstance(self.solver, Sinkhorn)
        if self.plan_name != "transport" or not (warm or self.momentum):
            return None
        sizes, shared = (teacher[-1], student[-1]), self.across_replicas
        return PlanMemory(*sizes, self.momentum, warm=warm, shared=shared)

    def _points(self, teacher, student, sample_weight=None):
        """A cost, and its arguments: neurons as points, weighted coordinates.

        Replicas that share the batch add up their costs once: the arguments
        are then those costs.
        """
        # New tensors: the old ones may carry a Keras mask.
        teacher = ops.convert_to_tensor(teacher, self.dtype) * 1
        student = ops.convert_to_tensor(student, self.dtype) * 1
        checks.same_samples(teacher.shape, student.shape)
        weights = None
        if sample_weight is not None:
            weights = base.sample_weights(sample_weight, student)
        if self.spatial == "keep":
            teacher, student = match_positions(teacher, student)
            if weights is not None:
                # Once for each position of a sample.
                ones = ops.cast(ops.ones_like(student[..., 0]), weights.dtype)
                shape = (-1, *(1,) * (len(ones.shape) - 1))
                weights = ops.reshape(ops.reshape(weights, shape) * ones, (-1,))
        # Sums over many samples leave the range of half precision.
        x = at_least_float32(units_as_points(teacher, self.spatial))
        y = at_least_float32(units_as_points(student, self.spatial))
        # A mean over the coordinates, not a sum: the value is then that of
        # any batch size.
        if weights is None:
            weights = 1.0 / self.total(ops.cast(ops.shape(x)[-1], x.dtype))
        else:
            weights = safe_divide(weights, self.total(ops.sum(weights)))
        cost = costs.as_cost(self.cost)
        if self.is_shared and not cost.adds_up:
            # The cost needs the coordinates of all replicas at once.
            x, y = (_gathered(points) for points in (x, y))
            weights = _gathered(weights) if len(weights.shape) else weights
        points = cost.weighted(x, y, weights)
        if self.is_shared and cost.adds_up:
            C = cost(*points, total=engine.all_reduce_sum)
            return fixed_plan.KNOWN, (C,)
        return cost, points

    def _plan(self, cost, points, memory):
        """The plan, and the solution; `None` for a control."""
        if self.plan_name == "transport":
            if memory is not None:
                return memory.plan(cost, points, self.epsilon, self.solver)
            return fixed_plan.planner(cost, self.epsilon, self.solver)(*points)
        sizes = [x.shape[0] for x in points[:2]]
        if cost is fixed_plan.KNOWN:
            sizes = points[0].shape
        P = control_plan(self.plan_name, *sizes)
        return ops.convert_to_tensor(P, points[0].dtype), None


class PlanMemory(keras.layers.Layer):
    """Potentials to start the solver from if `warm`, and running costs.

    `shared` says whether the replicas of a step solve one problem; without
    `momentum` there are no running costs.
    """

    def __init__(self, rows, columns, momentum, *, warm, shared=True):
        super().__init__(name="plan_memory", dtype="float32", trainable=False)
        zeros = functools.partial(
            self.add_weight,
            initializer="zeros",
            trainable=False,
            # Replicas that solve one problem have the same values.
            aggregation="none" if shared else "mean",
        )
        self.costs = self.g = None
        if momentum:
            costs = self.costs = zeros((rows, columns), name="costs")
            steps = self.steps = zeros((), name="steps")
            known = momentum, costs, steps
            self._update = functools.lru_cache(maxsize=4)(
                lambda cost: fixed_plan.running_costs(cost, *known)
            )
        if warm:
            self.g = zeros((columns,), name="g")
        self.built = True

    def plan(self, cost, points, epsilon, solver):
        """Update the memory, and solve for the plan of a training step."""
        dtype = points[0].dtype
        if self.costs is not None:
            self._update(cost)(*points)
            cost, points = fixed_plan.RELATIVE, (ops.cast(self.costs, dtype),)
        solve = fixed_plan.planner(cost, epsilon, solver)
        if self.g is None:
            return solve(*points)
        P, solution = solve(*points, g=ops.cast(self.g, dtype))
        self.g.assign(ops.cast(solution.g, self.g.dtype))
        return P, solution


def _gathered(x):
    """Join the coordinates, which are last, of all replicas."""
    return ops.transpose(engine.all_gather(ops.transpose(x)))


def control_plan(name: str, teacher: int, student: int) -> np.ndarray:
    """Return a plan of shape `(teacher, student)` with uniform marginals."""
    if name == "uniform":
        return np.full((teacher, student), 1.0 / (teacher * student), "float32")
    if name == "identity":
        if teacher != student:
            raise checks.invalid(
                "layers of equal width for plan='identity', which pairs neuron "
                "i with neuron i",
                f"{teacher} teacher neurons and {student} student neurons",
                "Use plan='transport'.",
            )
        return staircase(teacher, student)
    order = np.random.default_rng(0).permutation(teacher)
    return staircase(teacher, student)[order]


def staircase(n: int, m: int) -> Any:
    """The plan that fills from the first corner; diagonal if `n` is `m`."""
    rows, columns = np.arange(n + 1) / n, np.arange(m + 1) / m
    ends = np.minimum(rows[1:, None], columns[1:])
    starts = np.maximum(rows[:-1, None], columns[:-1])
    return np.maximum(ends - starts, 0.0).astype("float32")
