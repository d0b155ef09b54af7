"""The ways of learning that the demos compare: the rows of their tables."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import class_costs
from keras_otreg.data import Labelled, paired
from keras_otreg.demo.task import Task
from keras_otreg.experiments import networks
from keras_otreg.experiments.methods import Method, learner
from keras_otreg.experiments.problem import Problem
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.training import Trainee, trainee
from keras_otreg.losses import ClassTransport
from keras_otreg.models import Penalty, SourceTask, TransferModel
from keras_otreg.regularizers import add_starting_point

WIDE, NARROW = "same network", "a quarter as wide"
SCRATCH, PLAIN = "from scratch", "plain fine-tuning"
TRANSPORT, ALIGNMENT = "transport", "alignment everywhere"
# What each student is compared with: learning without a regulariser.
BASELINES = {WIDE: PLAIN, NARROW: SCRATCH}
JOINT = "digits and letters"
ALONE, SHOWN = "target alone", "JTLN, MK-MMD"
SOURCE_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Row:
    """A way of learning on a problem.

    Attributes:
        student: Which network learns.
        method: What is done.
        problem: What is learnt, and from which weights.
        learner: Makes a `Trainee`, given the strength of the regulariser, the
            few labelled samples and the seed that they were drawn with.
        strengths: Among which to choose; none without a regulariser.
        each_draw: Whether a learner is for one draw of labels only.
    """

    student: str
    method: str
    problem: Problem
    learner: Callable[[float | None, Labelled, int], Trainee]
    strengths: tuple[float, ...] = ()
    each_draw: bool = False


def digit_rows(
    teacher: keras.Model, task: Task, settings: Settings
) -> list[Row]:
    """Fine-tuning to the digits of another scanner, and compression."""
    wide = _problem(teacher, networks.wide, task, settings)
    wide = dataclasses.replace(wide, places=networks.places([]))
    narrow = _problem(teacher, networks.narrow, task, settings)
    narrow = dataclasses.replace(
        narrow, places=networks.places(networks.NARROW_STAGES)
    )
    taught = dataclasses.replace(wide, pretrained=True)
    pull = _default(add_starting_point, "strength")
    penalty = functools.partial(
        Method,
        uses="penalties",
        strengths=(_default(Penalty, "weight"),),
        loss="RepresentationTransport",
    )
    rows = [
        (WIDE, wide, Method(SCRATCH, "plain")),
        (WIDE, taught, Method(PLAIN, "plain")),
        (WIDE, taught, Method("frozen features", "frozen")),
        (WIDE, taught, Method("L2-SP", "starting_point", (pull,))),
        (WIDE, taught, penalty(TRANSPORT)),
        *(
            (WIDE, taught, penalty(f"{plan} plan", arguments={"plan": plan}))
            for plan in ("identity", "uniform")
        ),
        (NARROW, narrow, Method(SCRATCH, "plain")),
        (NARROW, narrow, penalty(TRANSPORT)),
        (
            NARROW,
            narrow,
            penalty(ALIGNMENT, loss="TransportAlignment", at="everywhere"),
        ),
    ]
    return [_row(*row, settings) for row in rows]


def joint_rows(
    source_network: keras.Model, task: Task, settings: Settings
) -> list[Row]:
    """The rows of the paper's table, and a control."""
    alone = _problem(source_network, networks.wide, task, settings)
    alone = dataclasses.replace(
        alone, batches=functools.partial(_pairs, task.source)
    )
    after = dataclasses.replace(alone, pretrained=True)

    def from_features(cost, few, seed):
        every_third = Labelled(task.source.x[::3], task.source.y[::3])
        found = [
            class_costs.extract(
                source_network, "features", _batched(data), verbose=0
            )
            for data in (every_third, few)
        ]
        return cost(*found[0], *found[1])

    def at_random(few, seed):
        classes = source_network.output_shape[-1]
        return class_costs.random(classes, len(np.unique(few.y)), seed)

    costs = {
        "joint, no transport": None,
        SHOWN: functools.partial(from_features, class_costs.mkmmd),
        "JTLN, transport": functools.partial(
            from_features, class_costs.transport
        ),
        "JTLN, random": at_random,
    }
    plain = [
        _row(JOINT, alone, Method(ALONE, "plain"), settings),
        _row(JOINT, after, Method("source, then target", "plain"), settings),
    ]
    return plain + [
        Row(
            JOINT,
            name,
            alone,
            functools.partial(_joint_learner, alone, cost),
            each_draw=True,
        )
        for name, cost in costs.items()
    ]


def _problem(teacher, network, task, settings):
    return Problem(
        teacher=teacher,
        student=functools.partial(network, settings),
        pretrained=False,
        pool=task.pool,
        test=task.test,
        places={},
        settings=settings,
    )


def _row(student, problem, method, settings):
    strengths = method.strengths and (settings.strengths or method.strengths)
    return Row(
        student,
        method.name,
        problem,
        lambda strength, few, seed: learner(method, problem, strength, few),
        strengths,
    )


def _joint_learner(problem, cost, strength, few, seed):
    """A student with a head for the source, tied to it by costs of classes."""
    keras.utils.set_random_seed(seed)
    student = problem.student()
    transport = None
    if cost is not None:
        transport = ClassTransport(class_costs.normalise(cost(few, seed)))
    classes = problem.teacher.output_shape[-1]
    source_task = SourceTask(
        keras.layers.Dense(classes, activation="softmax"),
        at="features",
        loss="sparse_categorical_crossentropy",
        transport=transport,
    )
    model = TransferModel(student, source_task=source_task)
    return trainee(model, student, problem.settings)


def _pairs(source, few, others, seed, usable):
    """The few target samples beside batches of the source."""
    if not usable:
        return None
    pairs = paired(
        tuple(few),
        tuple(source),
        batch_size=len(few.y),
        source_batch_size=SOURCE_BATCH,
        seed=seed,
    )
    return pairs.repeat()


def _batched(data):
    return tf.data.Dataset.from_tensor_slices(tuple(data)).batch(256)


def _default(function: Callable[..., Any], argument: str) -> Any:
    return inspect.signature(function).parameters[argument].default
