"""Methods of learning the target, by name."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, Literal

import keras

from keras_otreg import checks, losses
from keras_otreg.compression import inherit
from keras_otreg.experiments.problem import HEAD, frozen_but_for_head
from keras_otreg.experiments.training import END, Trainee, train
from keras_otreg.features import channel_weights
from keras_otreg.heads import solve_head
from keras_otreg.models import Penalty, TransferModel, WeightPenalty

# Learners without a strength.
WITHOUT_STRENGTH = ("plain", "frozen", "rates", "lora", "norms")
# What a method can ask of a task.
Need = Literal["same network", "same classes", "small network", "norms"]
# Of a kernel's change by LoRA; share of the body's learning rate.
RANK, BODY = 4, 0.1


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of learning the target, which `uses` one of the `LEARNERS`.

    The loss of this library, with its arguments, acts `at` some layers. The
    task must offer what the method `needs`. It `ends` after training, at the
    start, or between both, where it is best in validation, or as `finetune`
    does. With `shares` the head of the start is solved on unlabelled samples
    too, which get labels by transport with these shares of the classes.
    """

    name: str
    uses: str
    strengths: tuple[float, ...] = ()
    loss: str = ""
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    at: Literal["penultimate", "stages", "everywhere", "head"] = "penultimate"
    needs: tuple[Need, ...] = ()
    quick: bool = True
    ends: Literal["end", "start", "between", "kept"] = END
    shares: Literal["", "uniform", "validation"] = ""

    @property
    def middle(self) -> tuple[float, ...]:
        """The middle one of the strengths, if there are any."""
        half = len(self.strengths) // 2
        return self.strengths[half : half + 1]

    @property
    def is_built_on_labels(self) -> bool:
        """Whether a learner is for one draw of labels only."""
        return self.uses in ("delta", "inherit")

    def learner(self, problem, strength, few, seed):
        """Return a compiled model that learns by this method."""
        # Adapters start alike in all trainings.
        keras.utils.set_random_seed(0)
        student = problem.student()
        own = list(student.weights)
        model = LEARNERS[self.uses](self, problem, strength, few, student)
        more: dict[str, Any] = {"ends": self.ends}
        if self.uses == "rates":
            more["body"] = BODY
        if self.uses == "inherit":
            more |= {"start": student.get_weights(), "scales_rate": True}
        if self.uses == "norms":
            student, own = model, list(model.weights)
        return Trainee(model, student, problem.settings, own, **more)


def penalties(method, pairs, strength):
    """Return the penalties of a method between some pairs of layers."""
    name = f"{method.name}: loss"
    kind = getattr(losses, checks.one_of(method.loss, losses.__all__, name))
    try:
        loss = kind(**method.arguments)
    except (TypeError, ValueError) as error:
        message = f"Invalid arguments in entry `{method.name}`. {error}"
        raise ValueError(message) from error
    return Penalty.at_each(loss, dict(pairs), weight=strength)


def _plain(method, problem, strength, few, student):
    return student


def _frozen(method, problem, strength, few, student):
    return frozen_but_for_head(student)


def _lora(method, problem, strength, few, student):
    """Low-rank changes of dense and convolutional layers, and the head."""
    for layer in frozen_but_for_head(student).layers[:-1]:
        if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
            layer.trainable = True
            layer.enable_lora(RANK)
    return student


def _norms(method, problem, strength, few, student):
    """Scales and offsets of batch normalisation in inference, and the head."""
    kind = keras.layers.BatchNormalization

    def cloned(layer):
        is_norm = isinstance(layer, kind)
        own = _InferenceNormalization if is_norm else type(layer)
        return own.from_config(layer.get_config())

    copy = keras.models.clone_model(student, clone_function=cloned)
    for layer in copy.layers[:-1]:
        layer.trainable = isinstance(layer, kind)
    return copy


class _InferenceNormalization(keras.layers.BatchNormalization):
    """Batch normalisation by the moving statistics, also in training."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=False, mask=mask)


def _l2(method, problem, strength, few, student):
    penalty = WeightPenalty("l2", exclude=HEAD, weight=strength)
    return TransferModel(student, problem.teacher, [penalty])


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
    start = problem.start(few)
    few = problem.samples(few)
    if problem.solved:
        tuned.set_weights(start)
    else:
        learning = Trainee(frozen_but_for_head(tuned), tuned, problem.settings)
        train(learning, start, few, few, problem.settings)
    terms = []
    for at, teacher_at in problem.places[method.at]:
        attention = channel_weights(tuned, at, [(few.x, few.y)])
        loss = losses.FeatureMap(attention)
        terms += Penalty.at_each(loss, {at: teacher_at}, weight=strength)
    return TransferModel(student, problem.teacher, terms)


def _inherit(method, problem, strength, few, student):
    """A student that starts with inherited weights, and maybe a solved head."""
    pairs = dict(problem.places["everywhere"])
    is_same_task = student.output_shape == problem.teacher.output_shape
    if is_same_task:
        pairs |= dict(problem.places["head"])
    is_copy = all(name == other for name, other in pairs.items())
    with warnings.catch_warnings():
        # Few samples for a layer are part of the task.
        warnings.filterwarnings("ignore", "Expected at least as many rows")
        inherit(
            student,
            problem.teacher,
            problem.inputs(few),
            # Also the layers of one name that no method acts at.
            layers=None if is_copy else pairs,
            verbose=False,
            **method.arguments,
        )
    if not is_same_task:
        few = problem.samples(few)
        solve_head(student, few.x, few.y, validation=problem.validation)
    return student


LEARNERS: dict[str, Callable[..., Any]] = {
    "inherit": _inherit,
    "plain": _plain,
    "frozen": _frozen,
    "rates": _plain,
    "lora": _lora,
    "norms": _norms,
    "l2": _l2,
    "penalties": _penalties,
    "delta": _delta,
}
