"""Data of the demos, and the methods that they compare."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import class_costs, data
from keras_otreg.experiments import networks
from keras_otreg.experiments.methods import Method
from keras_otreg.experiments.problem import Problem, Settings
from keras_otreg.experiments.training import Trainee
from keras_otreg.heads import solve_head
from keras_otreg.losses import ClassTransport
from keras_otreg.models import Penalty, SourceTask, TransferModel, WeightPenalty

WIDE, NARROW = "same network", "a quarter as wide"
SCRATCH, PLAIN = "from scratch", "plain fine-tuning"
TRANSPORT, ALIGNMENT = "transport", "alignment everywhere"
JOINT = "digits and letters"
ALONE, CONSECUTIVE = "target alone", "source, then target"
VARIED = "and the source's variation"
SHOWN = "JTLN, MK-MMD"
# What each student is compared with: learning without a penalty.
BASELINES = {WIDE: PLAIN, NARROW: SCRATCH, JOINT: ALONE}
SOURCE_BATCH = 64
# Settings for learning beside a source of other classes.
BESIDE = dict(per_class=5, source_epochs=6, steps=100, points=5, strengths=())


class Task(NamedTuple):
    """Labelled images of a source and of a target, of the same shape.

    The few labels are drawn from the `pool`; `test` is for the reported
    accuracies alone.
    """

    source: data.Labelled
    source_test: data.Labelled
    pool: data.Labelled
    test: data.Labelled


def digits() -> Task:
    """Transfer from MNIST's digits to those of another scanner."""
    return Task(*data.mnist5k(), *data.optdigits())


def letters_and_digits() -> Task:
    """Transfer from printed letters to MNIST's digits."""
    test, train = data.few_shot(*data.letters(), per_class=20, seed=0)
    return Task(train, test, *data.mnist5k())


class Row(NamedTuple):
    """A method on a problem, and the name of the student that learns."""

    student: str
    problem: Problem
    method: Any


def digit_rows(
    teacher: keras.Model, task: Task, settings: Settings
) -> list[Row]:
    """Fine-tuning to the digits of another scanner, and compression."""
    wide = _problem(teacher, networks.wide, task, settings)
    narrow = _problem(teacher, networks.narrow, task, settings)
    taught = dataclasses.replace(wide, pretrained=True, solved=True)
    pulls, weights = (
        settings.strengths
        or (inspect.signature(x).parameters["weight"].default,)
        for x in (WeightPenalty, Penalty)
    )
    transport = Method(
        TRANSPORT, "penalties", weights, "RepresentationTransport"
    )
    controls = [
        dataclasses.replace(transport, name=f"{x} plan", arguments={"plan": x})
        for x in ("identity", "uniform")
    ]
    alignment = dataclasses.replace(
        transport, name=ALIGNMENT, loss="TransportAlignment", at="everywhere"
    )
    return [
        Row(WIDE, wide, Method(SCRATCH, "plain")),
        Row(WIDE, taught, Method("solved head", "plain", ends="start")),
        Row(WIDE, taught, Method(PLAIN, "plain")),
        Row(WIDE, taught, Method("L2-SP", "l2", pulls)),
        *(Row(WIDE, taught, method) for method in (transport, *controls)),
        Row(NARROW, narrow, Method(SCRATCH, "plain")),
        Row(NARROW, narrow, transport),
        Row(NARROW, narrow, alignment),
        Row(NARROW, narrow, Method("inherited", "inherit", (0.1,))),
    ]


@dataclasses.dataclass(frozen=True)
class JointMethod:
    """Joint transfer, tied to the source by costs between classes.

    `costs` returns them, given the few labelled samples and the seed of their
    draw; `None` is for no transport.
    """

    name: str
    costs: Callable[[data.Labelled, int], Any] | None = None
    strengths: tuple[float, ...] = ()
    is_built_on_labels: bool = True
    shares: str = ""

    def learner(self, problem, strength, few, seed):
        """Return a student with a head for the source, compiled."""
        keras.utils.set_random_seed(seed)
        student = problem.student()
        transport = None
        if self.costs is not None:
            costs = class_costs.normalise(self.costs(few, seed))
            transport = ClassTransport(costs)
        trained = problem.teacher.layers[-1]
        head = keras.layers.Dense(trained.units, activation="softmax")
        loss = "sparse_categorical_crossentropy"
        task = SourceTask(head, at="features", loss=loss, transport=transport)
        model = TransferModel(student, source_task=task)
        if problem.pretrained:
            head.set_weights(trained.get_weights())
        return Trainee(model, student, problem.settings)


def joint_rows(
    source_network: keras.Model, task: Task, settings: Settings
) -> list[Row]:
    """The rows of the paper's table, others from its start, and controls."""
    alone = dataclasses.replace(
        _problem(source_network, networks.wide, task, settings),
        batches=functools.partial(_pairs, task.source),
        solved=True,
    )
    after = dataclasses.replace(alone, pretrained=True)

    def features(*samples):
        batches = tf.data.Dataset.from_tensor_slices(samples).batch(256)
        return class_costs.extract(
            source_network, "features", batches, verbose=0
        )

    @functools.cache
    def of_source():
        return features(task.source.x[::3], task.source.y[::3])

    def costs(few, seed):
        return class_costs.mkmmd(*of_source(), *features(*few))

    def at_random(few, seed):
        classes = source_network.output_shape[-1]
        return class_costs.random(classes, len(np.unique(few.y)), seed)

    return [
        Row(JOINT, alone, Method(ALONE, "plain")),
        Row(JOINT, after, Method(CONSECUTIVE, "plain")),
        Row(JOINT, _varied(after, task), Method(VARIED, "plain")),
        Row(JOINT, alone, JointMethod("joint")),
        Row(JOINT, after, JointMethod("source, then joint")),
        Row(JOINT, after, JointMethod(SHOWN, costs)),
        Row(JOINT, after, JointMethod("JTLN, random", at_random)),
    ]


def _varied(problem, task):
    """The same; the head is solved with the source after training."""

    def finish(student, few):
        solve_head(student, *few, source=tuple(task.source))

    return dataclasses.replace(problem, finish=finish)


def _problem(teacher, network, task, settings):
    is_wide = network is networks.wide
    return Problem(
        teacher=teacher,
        student=functools.partial(network, settings),
        pretrained=False,
        pool=task.pool,
        test=task.test,
        places=networks.places([] if is_wide else networks.NARROW_STAGES),
        settings=settings,
    )


def _pairs(source, few, others, seed, usable):
    """Batches of the few target samples beside the source."""
    if not usable:
        return None
    sizes = {"batch_size": len(few.y), "source_batch_size": SOURCE_BATCH}
    pairs = data.paired(tuple(few), tuple(source), seed=seed, **sizes)
    return pairs.repeat()
