"""Methods of learning the target, by name."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_otreg import checks, losses, ot
from keras_otreg.compression import inherit
from keras_otreg.data import Labelled
from keras_otreg.experiments.problem import (
    HEAD,
    Pair,
    Problem,
    frozen_but_for_head,
)
from keras_otreg.experiments.training import Trainee, train, trainee
from keras_otreg.features import channel_weights
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.models.teacher import copy_of
from keras_otreg.regularizers import (
    NeuronTransport,
    StartingPoint,
    add_starting_point,
)

# Values of `solver` in a file, for the losses that take one.
SOLVERS = {"Sinkhorn": ot.Sinkhorn, "ProximalPoint": ot.ProximalPoint}
# Learners that have nothing to choose.
WITHOUT_STRENGTH = ("plain", "frozen")
# What a method can ask of a task.
NEEDS = ("same network", "same classes", "small network")
PLACES = ("penultimate", "stages", "everywhere", "head")


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of learning the target.

    `uses` is one of the `LEARNERS`. A strength is chosen among `strengths`.
    The loss of this library, with its arguments, acts at one of `PLACES`.
    The task must offer what the method `needs`, among `NEEDS`.
    """

    name: str
    uses: str
    strengths: tuple[float, ...] = ()
    loss: str = ""
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    at: str = "penultimate"
    needs: tuple[str, ...] = ()
    quick: bool = True

    def __post_init__(self):
        strengths = f"{self.name}: strengths"
        checks.instance_of(self.strengths, tuple, strengths, "a list")
        for strength in self.strengths:
            checks.positive(strength, strengths)
        arguments = f"{self.name}: arguments"
        checks.instance_of(self.arguments, dict, arguments, "keys and values")
        checks.one_of(self.at, PLACES, f"{self.name}: at")
        for need in self.needs:
            checks.one_of(need, NEEDS, f"{self.name}: needs")
        checks.flag(self.quick, f"{self.name}: quick")

    @property
    def is_built_on_labels(self) -> bool:
        """Whether a learner is for one draw of labels only."""
        return self.uses in ("delta", "inherit")

    def learner(
        self, problem: Problem, strength: float | None, few: Labelled, seed: int
    ) -> Trainee:
        """Return a compiled model that learns by this method.

        Methods that are built on them get the few labelled samples.
        """
        # Adapters start alike in all trainings.
        keras.utils.set_random_seed(0)
        student = problem.student()
        if self.uses == "inherit":
            return _inherit(self, problem, strength, few, student)
        model = LEARNERS[self.uses](self, problem, strength, few, student)
        return trainee(model, student, problem.settings)


def penalties(
    method: Method, pairs: Sequence[Pair], strength: float | None
) -> list[Penalty]:
    """Return the penalties of a method between some pairs of layers."""
    name = f"{method.name}: loss"
    kind = getattr(losses, checks.one_of(method.loss, losses.__all__, name))
    arguments = dict(method.arguments)
    if "solver" in arguments:
        name = f"{method.name}: solver"
        solver = checks.one_of(arguments["solver"], SOLVERS, name)
        arguments["solver"] = SOLVERS[solver]()
    try:
        loss = kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Invalid arguments in entry `{method.name}`. {error}"
        ) from error
    return Penalty.at_each(loss, dict(pairs), weight=strength)


def _plain(method, problem, strength, few, student):
    return student


def _frozen(method, problem, strength, few, student):
    return frozen_but_for_head(student)


def _head_decay(method, problem, strength, few, student):
    student.get_layer(HEAD).kernel.regularizer = keras.regularizers.L2(strength)
    return student


def _starting_point(kind, method, problem, strength, few, student):
    student.set_weights(problem.start())
    return add_starting_point(student, strength, [HEAD], regularizer=kind)


def _penalties(method, problem, strength, few, student):
    pairs = problem.places[method.at]
    if not pairs:
        raise checks.invalid(
            f"layers for the method {method.name!r} to act at",
            f"at: {method.at!r}, of which a task of this kind, or what it does "
            "not freeze, has none",
            "Name other methods under `methods` of the task",
        )
    terms = penalties(method, pairs, strength)
    return TransferModel(student, problem.teacher, terms)


def _delta(method, problem, strength, few, student):
    """Feature maps weighted by attention on the labelled samples."""
    tuned = problem.student()
    few = problem.samples(few)
    learning = trainee(frozen_but_for_head(tuned), tuned, problem.settings)
    train(learning, problem.start(), few, few, problem.settings)
    terms = []
    for at, teacher_at in problem.places[method.at]:
        attention = channel_weights(tuned, at, [(few.x, few.y)])
        loss = losses.FeatureMap(attention)
        terms += Penalty.at_each(loss, {at: teacher_at}, weight=strength)
    return TransferModel(student, problem.teacher, terms)


def _inherit(method, problem, strength, few, student):
    """A student that starts with inherited weights, at a share of the rate."""
    pairs = dict(problem.places["everywhere"])
    if student.output_shape == problem.teacher.output_shape:
        pairs |= dict(problem.places["head"])
    is_copy = all(name == other for name, other in pairs.items())
    inherit(
        student,
        problem.teacher,
        problem.inputs(few),
        # Also the layers of one name that no method acts at.
        layers=None if is_copy else pairs,
        verbose=False,
        **method.arguments,
    )
    weights = student.get_weights()
    return trainee(student, student, problem.settings, weights, strength)


def _distiller(method, problem, strength, few, student):
    (pair,) = problem.places["penultimate"]
    # It asks for a teacher of as many classes, and freezes it.
    teacher = copy_of(student)
    teacher.set_weights(problem.start())
    return keras.distillation.Distiller(
        teacher,
        student,
        keras.distillation.FeatureDistillation("mse", *reversed(pair)),
        # The share of the task: the total is the usual one over 1 + strength.
        student_loss_weight=1.0 / (1.0 + strength),
    )


LEARNERS: dict[str, Callable[..., Any]] = {
    "inherit": _inherit,
    "plain": _plain,
    "frozen": _frozen,
    "head_decay": _head_decay,
    "starting_point": functools.partial(_starting_point, StartingPoint),
    "neuron_transport": functools.partial(_starting_point, NeuronTransport),
    "penalties": _penalties,
    "delta": _delta,
    "distiller": _distiller,
}
