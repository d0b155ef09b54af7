"""Learns few pictures beside many of other classes."""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, class_costs, losses, plots
from keras_otreg.data import (
    PictureFiles,
    paired,
    picture_parts,
)
from keras_otreg.files import whole
from keras_otreg.models import SourceTask, TransferModel
from keras_otreg.workflows.finetune import few_pictures
from keras_otreg.workflows.heads import features_of, with_new_head
from keras_otreg.workflows.learning import HEAD_EPOCHS, LOSS, Settings
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.project import (
    HEAD_ONLY,
    PLAIN,
    Project,
    facts,
    project,
)
from keras_otreg.workflows.run import STAGES
from keras_otreg.workflows.story import Story

JOINT = "joint transfer"
# Of each class, for the costs between classes.
KNOWN = 50


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be learnt, beside what, and how.

    Attributes:
        target: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        source: Another one, of other classes; its pictures to train on count.
        teacher: Name or path of the network to start from.
        out: An existing folder to write to.
        shots: Target pictures of each class to learn from; `None` for all.
        source_weight: Of the source task.
        transport_weight: Of the transport between the two heads.
        image_size: Height and width where the network takes any.
        settings: How networks are trained.
    """

    target: pathlib.Path
    source: pathlib.Path
    teacher: str
    out: pathlib.Path
    shots: int | None
    source_weight: float
    transport_weight: float
    image_size: int
    settings: Settings


def joint(wish: Wish, console: Any) -> Story:
    """Fine-tunes on the target alone and beside the source.

    Args:
        wish: What is to be done.
        console: A `rich.console.Console`.

    Returns:
        What the report tells.

    Raises:
        OSError: If the teacher cannot be had or used.
        ValueError: If the pictures are not there, or the folder holds another
            run.
        ImportError: If a package is missing.
    """
    checks.apart(wish.target, wish.source)
    teacher = teacher_named(wish.teacher, wish.image_size)
    shape = picture_shape(teacher, wish.image_size)
    parts = few_pictures(wish.target, wish.shots, wish.settings.seed)
    source = picture_parts(wish.source, wish.settings.seed)["train"]
    features = features_of(teacher)
    classes = len(parts["train"].class_names)
    student = with_new_head(teacher, features, classes, wish.settings.seed)
    known = facts(
        "joint",
        {**parts, "source": source},
        {"teacher": teacher},
        vars(wish.settings),
        image_size=shape[0],
        source_weight=wish.source_weight,
        transport_weight=wish.transport_weight,
    )
    epochs = HEAD_EPOCHS + 2 * wish.settings.epochs
    with project(
        wish.out, known, parts, shape, wish.settings, console, epochs
    ) as work:
        story = _Joint(wish, work, student, features, source).story()
        work.write(story)
    return story


@dataclasses.dataclass(frozen=True)
class _Joint:
    wish: Wish
    work: Project
    student: keras.Model
    features: str
    source: PictureFiles

    def story(self) -> Story:
        """What has been done, for a reader."""
        head = self.work.learn_head(self.student)
        plain = self.work.learn("plain", PLAIN, head.model)
        found = self.work.stage(
            "joint",
            JOINT,
            self.wish.settings.epochs,
            lambda: self._learnt(head.model),
        )
        wish, train = self.wish, self.work.lessons.parts["train"]
        return Story(
            title=f"Joint transfer: {wish.target.resolve().name}",
            lead=f"{wish.teacher}, fine-tuned on {len(train.paths)} pictures "
            f"of {len(train.class_names)} classes, beside "
            f"{len(self.source.paths)} pictures of "
            f"{len(self.source.class_names)} other classes.",
            results={HEAD_ONLY: head, PLAIN: plain, JOINT: found},
            plain=PLAIN,
            parts=self.work.lessons.parts,
            neurons=None,
            seen=None,
            settings={
                "teacher": wish.teacher,
                "source": wish.source,
                "source weight": wish.source_weight,
                "transport weight": wish.transport_weight,
                **wish.settings.shown(),
            },
            class_plan=self._class_plan(),
            strengths=("--transport-weight", "--source-weight"),
        )

    def _learnt(self, start):
        """The student that a source head has trained beside."""
        costs = self._costs()
        plans = []

        def around(student):
            task = SourceTask(
                keras.layers.Dense(len(costs), "softmax", name="source_head"),
                at=self.features,
                loss=LOSS,
                weight=self.wish.source_weight,
                transport=losses.ClassTransport(costs),
                transport_weight=self.wish.transport_weight,
            )
            plans.append(TransferModel(student, source_task=task))
            return plans[0]

        lessons = self.work.lessons
        data = paired(lessons.to_learn(), lessons.to_learn(self.source))
        trained = lessons.learn(JOINT, start, around, data)
        with whole(self._plan_file) as unfinished:
            np.save(unfinished, self._plan(plans[0]))
        return trained

    @property
    def _plan_file(self):
        return self.work.run.folder / STAGES / "class_plan.npy"

    def _costs(self):
        """How far the classes are apart in what the network knows."""
        lessons, known = self.work.lessons, []
        for files in (self.source, lessons.parts["train"]):
            few = files.take(files.first_of_each(KNOWN))
            known += class_costs.extract(
                self.student, self.features, lessons.batches(few), verbose=0
            )
        return class_costs.normalise(class_costs.mkmmd(*known))

    def _plan(self, model):
        """The mean plan between both heads, on validation pictures."""
        loss = model.source_task.transport
        plans = [
            keras.ops.convert_to_numpy(
                loss.plan(
                    model.source_model(x, training=False),
                    model.student(x, training=False),
                )
            )
            for x, _ in self.work.lessons.still["validation"]
        ]
        return np.concatenate(plans).mean(axis=0)

    def _class_plan(self):
        target = self.work.lessons.parts["train"]
        with checks.whole_result(self._plan_file.with_name("joint.json")):
            plan = np.load(self._plan_file)
        return plots.class_plan(
            plan,
            self.source.class_names,
            target.class_names,
        )
