"""Base classes of losses between activations."""

import re
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.points import mean_of_samples
from keras_otreg.ot import costs, transport_plan
from keras_otreg.ot.numerics import at_least_float32, safe_divide
from keras_otreg.saving import Configurable

NEURONS, SAMPLES, CLASSES = "neuron", "sample", "class"


class ActivationLoss(Configurable, keras.losses.Loss):
    """A Keras loss named by its class, which saves all its arguments."""

    def __init__(self, *, name: str | None = None, **options: Any):
        super().__init__(name=name or default_name(type(self)), **options)

    def adapter(self, teacher: Any, student: Any) -> keras.Layer | None:
        """Make the layer that adapts the student, if any, from two shapes."""
        return None

    def memory(self, teacher: Any, student: Any) -> keras.Layer | None:
        """Make the built layer with the loss's state between steps, if any."""
        return None


def default_name(kind: type) -> str:
    """Return the name of a class in snake case."""
    name = kind.__name__.lstrip("_")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class AcrossReplicas(ActivationLoss):
    """A loss of the whole batch of all replicas, or of that of each.

    Keras divides means by the number of replicas, and adds them up.
    """

    def __init__(self, *, across_replicas: bool = True, **options: Any):
        super().__init__(**options)
        self.across_replicas = checks.flag(across_replicas, "across_replicas")

    @property
    def is_shared(self) -> bool:
        """True if there are other replicas, whose samples count."""
        return self.across_replicas and engine.is_replicated()

    def total(self, values: Any) -> Any:
        """Add up tensors over the replicas that count."""
        return engine.all_reduce_sum(values) if self.across_replicas else values

    def _per_replica(self, loss):
        if self.reduction == "sum" and self.is_shared:
            return loss / engine.num_replicas()
        return loss


class SolvedPlan(NamedTuple):
    """Transport plan of a loss on one batch, and how well it is solved."""

    # Of shape `(n, m)`, or `(batch, n, m)`; rows are the teacher's.
    P: Any
    # `"neuron"`, `"sample"` or `"class"`.
    between: str
    # In the units of the loss; `None`, as what follows, if nothing was solved.
    epsilon: float | None = None
    solver: Any = None
    num_iterations: Any = None
    marginal_error: Any = None


class TransportLoss(ActivationLoss):
    """A loss with an `epsilon` and a `solver`."""

    cost: Any
    epsilon: float
    solver: Any

    def plan(self, teacher: Any, student: Any) -> Any:
        """Transport plan between two batches of activations or predictions.

        Args:
            teacher: Passed as `y_true` of the loss; its points are the rows.
            student: Passed as `y_pred` of the loss.

        Returns:
            The plan, `(n, m)`, or `(batch, n, m)` if each sample has its own.
        """
        solved = self.solved(teacher, student)
        return None if solved is None else solved.P

    def solved(self, teacher, student, sample_weight=None, memory=None):
        """Return the plan behind the value, or `None` if there is none."""
        return None

    def get_config(self):
        """Return the constructor's arguments."""
        config = super().get_config()
        if "cost" in config:
            config["cost"] = costs.name_of(self.cost)
        return config

    def _solved_plan(self, P, between, solution):
        _, _, *progress = solution
        return SolvedPlan(P, between, self.epsilon, self.solver, *progress)

    def _solve(self, problem, between):
        solution = self.solver(problem)
        P = transport_plan(problem, solution)
        return self._solved_plan(P, between, solution)


class ClassLoss(TransportLoss):
    """A loss between predictions over two sets of classes.

    Args:
        from_logits: Whether the predictions are logits; or a pair of such
            answers, for source and target.
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Source probabilities of shape `(batch, source classes)`.
        y_pred: Target probabilities of shape `(batch, target classes)`.
        sample_weight: Shape `(batch,)`.
    """

    # The numbers of source classes and of target classes.
    classes: tuple[int, int]

    def __init__(self, *, from_logits: Any = False, **options: Any):
        super().__init__(**options)
        self.from_logits = one_or_two_flags(from_logits, "from_logits")

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The reduced values of weighted samples."""
        # Keras would turn each number of a list into a tensor.
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        return super().__call__(y_true, y_pred, sample_weight)

    def check_classes(self, source: Any, target: Any) -> None:
        """Raise unless the shapes of two predictions fit the classes."""
        if (source[-1], target[-1]) != tuple(self.classes):
            raise checks.invalid(
                "predictions over the (source classes, target classes) of the "
                f"loss, {tuple(self.classes)}",
                f"shapes {tuple(source)} and {tuple(target)}",
                "Give the loss a matrix of these classes, or transpose it",
            )


class SampleLoss(ActivationLoss):
    """A loss whose `values` are one for each sample.

    The default reduction divides by the sum of the weights, so that a sample of
    weight 0 is left out.

    Args:
        **options: `name`, `reduction` and `dtype` of a `keras.losses.Loss`.

    Call arguments:
        y_true: Teacher activations of shape `(batch, ..., channels)`.
        y_pred: Student activations of shape `(batch, ..., channels)`.
        sample_weight: Shape `(batch,)`.
    """

    def __init__(
        self, *, reduction: str = "mean_with_sample_weight", **options: Any
    ):
        super().__init__(reduction=reduction, **options)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the reduced values of weighted samples."""
        # A new tensor: the old one may carry a Keras mask of its positions.
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype) * 1
        if sample_weight is not None:
            sample_weight = sample_weights(sample_weight, y_pred)
        value = super().__call__(y_true, y_pred, sample_weight)
        is_mean = self.reduction not in (None, "none", "sum")
        if not (is_mean and engine.is_replicated()):
            return value
        # A mean over the samples of all, where Keras takes one of means.
        own = ops.cast(ops.shape(y_pred)[0], value.dtype)
        weighs = self.reduction == "mean_with_sample_weight"
        if weighs and sample_weight is not None:
            own = ops.cast(ops.sum(sample_weight), value.dtype)
        share = safe_divide(own, engine.all_reduce_sum(own))
        return engine.unscale_loss(value * share)

    def call(self, y_true, y_pred):
        """Return values of shape `(batch,)`."""
        checks.same_samples(y_true.shape, y_pred.shape)
        return self.values(at_least_float32(y_true), at_least_float32(y_pred))

    def values(self, teacher: Any, student: Any) -> Any:
        """Return values `(batch,)` for activations `(batch, ..., units)`."""
        raise NotImplementedError


def sample_weights(sample_weight: Any, activations: Any) -> Any:
    """Return one weight per sample: a mean over positions, or one for all."""
    weights = ops.convert_to_tensor(sample_weight)
    dtype = at_least_float32(activations).dtype
    weights = ops.cast(mean_of_samples(weights), dtype)
    if not len(weights.shape):
        weights = ops.broadcast_to(weights, ops.shape(activations)[:1])
    count, expected = weights.shape[0], activations.shape[0]
    if count != expected and None not in (count, expected):
        raise checks.invalid(
            "a `sample_weight` for each sample",
            f"{count} weights for activations of shape "
            f"{tuple(activations.shape)}",
        )
    return weights


def one_or_two_flags(value: Any, name: str) -> tuple[bool, bool]:
    """Return a pair of booleans, given one for both or two."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 2
    is_pair = len(pair) == 2 and all(isinstance(flag, bool) for flag in pair)
    expected = "a boolean, or a pair of them, one for each side"
    checks.require(is_pair, value, name, expected)
    return pair
