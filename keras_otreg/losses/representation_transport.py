"""The regulariser of Representation Transfer by Optimal Transport."""

from typing import Any

from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import (
    SPATIAL,
    match_positions,
    units_as_points,
)
from keras_otreg.losses.across_replicas import AcrossReplicas
from keras_otreg.losses.described_loss import Values
from keras_otreg.losses.plan_memory import PlanMemory
from keras_otreg.losses.plans import PLANS, control_plan
from keras_otreg.losses.sample_loss import sample_weights
from keras_otreg.losses.solved_plan import NEURONS, SolvedPlan
from keras_otreg.losses.transport_loss import TransportLoss
from keras_otreg.ot import Sinkhorn, costs, fixed_plan
from keras_otreg.ot.function_cost import as_cost
from keras_otreg.ot.numerics import at_least_float32, safe_divide
from keras_otreg.saving import export


@export
class RepresentationTransport(AcrossReplicas, TransportLoss):
    """Cost of transporting a teacher's neurons onto a student's.

    A layer is a set of neurons, and a neuron is a function, seen through its
    activations on the batch. The loss is `<P, C>`, where `C[i, j]` is the
    distance between teacher neuron `i` and student neuron `j` and `P` is the
    optimal plan between them, held constant in the backward pass. Neither the
    order of neurons nor their number matters, so the layers may have
    different widths. The value does not depend on the batch size.

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
        momentum: What a training step counts for in the costs that the plan
            is made from, relative to the one after it; 0 takes those of the
            batch alone. A plan of one small batch also matches its noise; a
            running mean has less of it, and the solver starts nearer to the
            solution. Acts in the training steps of a `TransferModel`, and
            nowhere else.
        across_replicas: Whether the replicas of a distributed step add up
            their costs and solve the problem of the whole batch; each solves
            that of its own samples if not.
        name: Name of the loss.
        reduction: The loss has a value for each student neuron, of which the
            mean is the transport cost. See `keras.losses.Loss`.
        dtype: See `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., teacher neurons)`.
        y_pred: Student activations of shape `(batch, ..., student neurons)`.
        sample_weight: Shape `(batch,)`. A weight counts a sample in the
            distances between neurons: weight 0 is leaving the sample out.

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
        across_replicas: bool = True,
        name: str = "representation_transport",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.cost = costs.get(cost)
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.plan_name = checks.one_of(plan, PLANS, "plan")
        self.solver = checks.solver(solver or Sinkhorn())
        self.spatial = checks.one_of(spatial, SPATIAL, "spatial")
        self.momentum = checks.number(
            momentum,
            "momentum",
            expected="a number from 0 to below 1",
            valid=lambda x: 0.0 <= x < 1.0,
        )
        self.across_replicas = checks.flag(across_replicas, "across_replicas")

    def __call__(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        *,
        memory: Any = None,
    ) -> Any:
        """Return the transport cost, over weighted samples.

        Args:
            y_true: Teacher activations.
            y_pred: Student activations.
            sample_weight: Shape `(batch,)`.
            memory: What `memory` made, in a training step; it is updated.
        """
        points = self._points(y_true, y_pred, sample_weight)
        values = self._values(points, memory)
        # Keras reduces what a loss returns, here values that are at hand.
        reduction = Values(reduction=self.reduction, dtype=self.dtype)
        return self._as_part(reduction(values, values))

    def call(self, y_true, y_pred):
        """Costs of shape `(student neurons,)`, whose mean is `<P, C>`."""
        return self._values(self._points(y_true, y_pred), None)

    def _values(self, points, memory):
        # One sum over the replicas serves the plan and the value.
        C = self._known_costs(*points)
        P = self._plan(points, C, memory).P
        if C is None:
            paid = fixed_plan.paid_by_columns(as_cost(self.cost))
            return P.shape[1] * paid(*points, P)
        return P.shape[1] * fixed_plan.paid_of_costs(C, P)

    def plan(self, teacher: Any, student: Any) -> Any:
        """Transport plan from teacher neurons to student neurons.

        Args:
            teacher: Activations of shape `(batch, ..., teacher neurons)`.
            student: Activations of shape `(batch, ..., student neurons)`.

        Returns:
            The plan of shape `(teacher neurons, student neurons)`, of sum 1.
        """
        return self.solved(teacher, student).P

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """The plan between the neurons."""
        points = self._points(teacher, student, sample_weight)
        made = self._plan(points, self._known_costs(*points), memory)
        if self.plan_name != "transport":
            return SolvedPlan(made.P, NEURONS)
        return SolvedPlan(made.P, NEURONS, self.epsilon, self.solver, *made[2:])

    def memory(self, teacher, student):
        """Potentials, and running costs if there is momentum."""
        warm = isinstance(self.solver, Sinkhorn)
        if self.plan_name != "transport" or not (warm or self.momentum):
            return None
        return PlanMemory(
            teacher[-1],
            student[-1],
            as_cost(self.cost),
            self.momentum,
            warm=warm,
            shared=self.across_replicas,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "cost": costs.name_of(self.cost),
            "epsilon": self.epsilon,
            "plan": self.plan_name,
            "spatial": self.spatial,
            "momentum": self.momentum,
            "across_replicas": self.across_replicas,
        }

    def _points(self, teacher, student, sample_weight=None):
        """Arguments of the cost: neurons as points, weighted coordinates."""
        # New tensors: the old ones may carry a Keras mask.
        teacher, student = (
            ops.convert_to_tensor(y, self.dtype) * 1 for y in (teacher, student)
        )
        checks.same_samples(teacher.shape, student.shape)
        weights = None
        if sample_weight is not None:
            weights = sample_weights(sample_weight, student)
        if self.spatial == "keep":
            teacher, student = match_positions(teacher, student)
            weights = _at_positions(weights, student)
        # Sums over many samples leave the range of half precision.
        x, y = (
            at_least_float32(units_as_points(z, self.spatial))
            for z in (teacher, student)
        )
        # A mean over the coordinates, not a sum: the value is then that of
        # any batch size.
        if weights is None:
            weights = 1.0 / self.total(ops.cast(ops.shape(x)[-1], x.dtype))
        else:
            weights = safe_divide(weights, self.total(ops.sum(weights)))
        cost = as_cost(self.cost)
        if self.is_shared and not cost.adds_up:
            # The cost needs the coordinates of all replicas at once.
            x, y = (_gathered(points) for points in (x, y))
            weights = _gathered(weights) if len(weights.shape) else weights
        return cost.weighted(x, y, weights)

    def _known_costs(self, *points):
        """The costs over all samples, if others have some of them."""
        cost = as_cost(self.cost)
        if self.is_shared and cost.adds_up:
            return cost(*points, total=engine.all_reduce_sum)
        return None

    def _plan(self, points, C, memory):
        """The plan between points, or of their costs if these are known."""
        if self.plan_name != "transport":
            x, y, *_ = points
            plan = control_plan(self.plan_name, x.shape[0], y.shape[0])
            P = ops.cast(ops.convert_to_tensor(plan), x.dtype)
            return fixed_plan.Plan(P, None, None, None)
        how = self.epsilon, self.solver
        averages = memory is not None and memory.costs is not None
        if C is None and averages:
            C = memory.average(*points)
        elif C is not None:
            C = (
                memory.average_of_costs(C)
                if averages
                else fixed_plan.of_mean_one(C)
            )
        if C is None:
            plan, known = fixed_plan.planner(as_cost(self.cost), *how), points
        else:
            plan, known = fixed_plan.planner_of_costs(*how), (C,)
        return plan(*known) if memory is None else memory.plan(plan, *known)


def _gathered(x):
    """Joins the coordinates, which are last, of all replicas."""
    return ops.transpose(engine.all_gather(ops.transpose(x)))


def _at_positions(weights, maps):
    """Repeats weights of samples for all positions of `(batch, ..., units)`."""
    if weights is None:
        return None
    ones = ops.cast(ops.ones_like(maps[..., 0]), weights.dtype)
    inner = (1,) * (len(maps.shape) - 2)
    return ops.reshape(ops.reshape(weights, (-1, *inner)) * ones, (-1,))
