"""The regulariser of Representation Transfer by Optimal Transport."""

from typing import Any

from keras import ops

from keras_otreg import checks, replicas
from keras_otreg.features.points import (
    SPATIAL,
    match_positions,
    units_as_points,
    weigh_samples,
    weight_of_samples,
)
from keras_otreg.losses.across_replicas import AcrossReplicas
from keras_otreg.losses.plan_memory import PlanMemory
from keras_otreg.losses.plans import PLANS, control_plan
from keras_otreg.losses.solved_plan import NEURONS, SolvedPlan
from keras_otreg.losses.transport_loss import TransportLoss
from keras_otreg.ot import Sinkhorn, costs, fixed_plan
from keras_otreg.ot.numerics import at_least_float32
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
        cost: Name of a cost in `keras_otreg.ot.costs`, or a cost function.
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
        self.momentum = checks.share(momentum, "momentum")
        self.across_replicas = checks.flag(across_replicas, "across_replicas")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The transport cost, over weighted samples."""
        layers = self._weighted(y_true, y_pred, sample_weight)
        return self._as_part(super().__call__(*layers))

    def call(self, y_true, y_pred):
        """Costs of shape `(student neurons,)`, whose mean is `<P, C>`."""
        x, y = self._neurons(y_true, y_pred)
        # One sum over the replicas serves the plan and the value.
        C = self._known_costs(x, y)
        P = self._plan(x, y, C).P
        if C is None:
            return P.shape[1] * fixed_plan.paid_by_columns(self.cost)(x, y, P)
        return P.shape[1] * fixed_plan.paid_of_costs(C, P)

    def plan(self, teacher: Any, student: Any) -> Any:
        """How much of each teacher neuron goes to each student neuron.

        Args:
            teacher: Activations of shape `(batch, ..., teacher neurons)`.
            student: Activations of shape `(batch, ..., student neurons)`.

        Returns:
            The plan of shape `(teacher neurons, student neurons)`, of sum 1.
        """
        return self.solved(teacher, student).P

    def solved(self, teacher, student, sample_weight=None):
        """The plan between the neurons."""
        layers = self._weighted(teacher, student, sample_weight)
        x, y = self._neurons(*layers)
        made = self._plan(x, y, self._known_costs(x, y))
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
            self.cost,
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

    def _weighted(self, teacher, student, sample_weight):
        power = costs.weight_power(self.cost)
        mean = self._mean_weight(sample_weight)
        return tuple(
            weigh_samples(
                ops.convert_to_tensor(y, self.dtype), sample_weight, power, mean
            )
            for y in (teacher, student)
        )

    def _mean_weight(self, sample_weight):
        """The mean weight of all samples, if others have some of them."""
        if sample_weight is None or not self.is_shared:
            return None
        weight = at_least_float32(weight_of_samples(sample_weight))
        count = ops.cast(ops.shape(weight)[0], weight.dtype)
        sums = self.total([ops.sum(weight), count])
        return sums[0] / sums[1]

    def _neurons(self, teacher, student):
        if self.spatial == "keep":
            teacher, student = match_positions(teacher, student)
        checks.same_samples(teacher.shape, student.shape)
        # Sums over many samples leave the range of half precision.
        x = at_least_float32(units_as_points(teacher, self.spatial))
        y = at_least_float32(units_as_points(student, self.spatial))
        # A mean over the coordinates, not a sum: the value is then that of
        # any batch size.
        count = self.total(ops.cast(ops.shape(x)[-1], x.dtype))
        scale = ops.power(count, -costs.weight_power(self.cost))
        x, y = x * scale, y * scale
        if self.is_shared and not costs.adds_up(self.cost):
            # Nothing is known of this cost but that it is one of points.
            x, y = (
                ops.transpose(replicas.gathered(ops.transpose(points)))
                for points in (x, y)
            )
        return x, y

    def _known_costs(self, x, y):
        """The costs over all samples, if others have some of them."""
        if self.is_shared and costs.adds_up(self.cost):
            return self.cost(x, y, replicas.total)
        return None

    def _plan(self, x, y, C):
        """The plan between points, or of their costs if these are known."""
        if self.plan_name != "transport":
            plan = control_plan(self.plan_name, x.shape[0], y.shape[0])
            P = ops.cast(ops.convert_to_tensor(plan), x.dtype)
            return fixed_plan.Plan(P, None, None, None)
        how, memory = (self.epsilon, self.solver), self._memory
        averages = memory is not None and memory.costs is not None
        if C is None and averages:
            C = memory.average(x, y)
        elif C is not None:
            C = (
                memory.average_of_costs(C)
                if averages
                else fixed_plan.of_mean_one(C)
            )
        if C is None:
            plan, known = fixed_plan.planner(self.cost, *how), (x, y)
        else:
            plan, known = fixed_plan.planner_of_costs(*how), (C,)
        return plan(*known) if memory is None else memory.plan(plan, *known)
