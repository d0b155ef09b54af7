"""The ways of learning the target that the demo compares."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_otreg.demo import networks
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.training import Trainee, trainee
from keras_otreg.losses import RepresentationTransport, TransportAlignment
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.regularizers import add_starting_point

WIDE, NARROW = "same network", "a quarter as wide"
SCRATCH, PLAIN = "from scratch", "plain fine-tuning"
TRANSPORT, ALIGNMENT = "transport", "alignment everywhere"
# What each student is compared with: learning without a regulariser.
BASELINES = {WIDE: PLAIN, NARROW: SCRATCH}


@dataclasses.dataclass(frozen=True)
class Method:
    """A way of learning the target.

    Attributes:
        student: Which network learns.
        name: What is done.
        start: Returns the weights to start from, for the seed set before.
        build: Returns a `Trainee`, given the strength of the regulariser.
        default: The package's default strength; `None` for no regulariser.
    """

    student: str
    name: str
    start: Callable[[], list[np.ndarray]]
    build: Callable[[float | None], Trainee]
    default: float | None = None


def all_methods(teacher: keras.Model, settings: Settings) -> list[Method]:
    """The rows of the table."""
    wide = functools.partial(networks.wide, settings)
    narrow = functools.partial(networks.narrow, settings)
    context = _Context(teacher, settings)
    pull = _default(add_starting_point, "strength")
    weight = _default(Penalty, "weight")

    def transport(network, plan="transport"):
        return functools.partial(context.transport, network, plan)

    start = functools.partial(context.pretrained, wide)
    return [
        Method(WIDE, SCRATCH, _new(wide), context.plain(wide)),
        Method(WIDE, PLAIN, start, context.plain(wide)),
        Method(WIDE, "frozen features", start, context.frozen),
        Method(WIDE, "L2-SP", start, context.starting_point, pull),
        Method(WIDE, TRANSPORT, start, transport(wide), weight),
        Method(
            WIDE, "identity plan", start, transport(wide, "identity"), weight
        ),
        Method(WIDE, "uniform plan", start, transport(wide, "uniform"), weight),
        Method(NARROW, SCRATCH, _new(narrow), context.plain(narrow)),
        Method(NARROW, TRANSPORT, _new(narrow), transport(narrow), weight),
        Method(NARROW, ALIGNMENT, _new(narrow), context.alignment, weight),
    ]


@dataclasses.dataclass(frozen=True)
class _Context:
    """Builds networks that learn from the teacher, or not."""

    teacher: keras.Model
    settings: Settings

    def pretrained(self, network):
        """The teacher's weights, but for a new head's kernel and bias."""
        return [*self.teacher.get_weights()[:-2], *network().get_weights()[-2:]]

    def plain(self, network):
        return lambda strength: self._compiled(network())

    def frozen(self, strength):
        student = networks.wide(self.settings)
        for layer in student.layers[:-1]:
            layer.trainable = False
        return self._compiled(student)

    def starting_point(self, strength):
        student = networks.wide(self.settings)
        student.set_weights(self.teacher.get_weights())
        add_starting_point(student, strength, exclude=["head"])
        return self._compiled(student)

    def transport(self, network, plan, strength):
        loss = RepresentationTransport(plan=plan)
        return self._penalised(network(), loss, [networks.FEATURES], strength)

    def alignment(self, strength):
        places = [*networks.NARROW_STAGES, networks.FEATURES]
        student = networks.narrow(self.settings)
        return self._penalised(student, TransportAlignment(), places, strength)

    def _penalised(self, student, loss, places, strength):
        penalties = Penalty.at_each(loss, dict(places), weight=strength)
        model = TransferModel(student, self.teacher, penalties)
        return trainee(model, student, self.settings)

    def _compiled(self, student):
        return trainee(student, student, self.settings)


def _new(network):
    """Starts from new weights."""
    return lambda: network().get_weights()


def _default(function: Callable[..., Any], argument: str) -> Any:
    return inspect.signature(function).parameters[argument].default
