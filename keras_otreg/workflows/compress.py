"""Trains a small network with the help of a large one."""

import dataclasses
import pathlib
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.workflows.findings import accuracy
from keras_otreg.workflows.finetune import few_pictures
from keras_otreg.workflows.heads import classifier, place_of
from keras_otreg.workflows.layers import main_layers
from keras_otreg.workflows.learning import Settings
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.network_file import network_in
from keras_otreg.workflows.networks import picture_shape
from keras_otreg.workflows.places import known_layers
from keras_otreg.workflows.project import Project, facts, project
from keras_otreg.workflows.story import Story

ALONE, TEACHER = "the student alone", "the teacher"
# Stages where a method acts, beside the layer before the head.
PLACES = 3
# What did best at all stages of a narrow student, see the page of concepts.
WEIGHTS = {"alignment": 1.0}


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be compressed, into what, and how.

    Attributes:
        model: Path of the large network.
        student: Path of the small one.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        out: An existing folder to write to.
        method: One of `names.TITLES` that acts between layers.
        at: Layers of the student, each as `layer` or as `layer=teacher layer`;
            none for the default.
        weight: How strongly; `None` for the default.
        shots: Pictures of each class to learn from; `None` for all.
        image_size: Height and width where the networks take any.
        settings: How networks are trained.
    """

    model: pathlib.Path
    student: pathlib.Path
    data: pathlib.Path
    out: pathlib.Path
    method: str
    at: tuple[str, ...]
    weight: float | None
    shots: int | None
    image_size: int
    settings: Settings


def compress(wish: Wish, console: Any) -> Story:
    """Trains a student alone and beside a teacher; writes what came out.

    Args:
        wish: What is to be done.
        console: A `rich.console.Console`.

    Returns:
        What the report tells.

    Raises:
        OSError: If a network cannot be had or used.
        ValueError: If the pictures or a layer are not there, the networks take
            other pictures, or the folder holds another run.
        ImportError: If a package is missing.
    """
    teacher = network_in(wish.model, "model")
    student = network_in(wish.student, "student")
    shape = picture_shape(student, wish.image_size, "student")
    checks.same_pictures(picture_shape(teacher, shape[0], "model"), shape)
    parts = few_pictures(wish.data, wish.shots, wish.settings.seed)
    classes = len(parts["train"].class_names)
    student = classifier(student, classes, wish.settings.seed, "student")
    places = _places(wish, teacher, student)
    weight = wish.weight or WEIGHTS.get(wish.method)
    method = Method(wish.method, places, weight)
    method.check(student, teacher)
    known = facts(
        "compress",
        parts,
        {"model": teacher, "student": student},
        vars(wish.settings),
        method=wish.method,
        at=places,
        weight=weight,
        image_size=shape[0],
    )
    with project(
        wish.out,
        known,
        parts,
        shape,
        wish.settings,
        console,
        2 * wish.settings.epochs,
    ) as work:
        story = _story(wish, work, method, teacher, student)
        work.write(story)
    return story


def _places(wish, teacher, student):
    """The student's layers, and the teacher's that belong to them."""
    if wish.at:
        pairs = [one.partition("=") for one in wish.at]
        places = {at: teacher_at or at for at, _, teacher_at in pairs}
    else:
        stages = [main_layers(x, PLACES) for x in (student, teacher)]
        # The last ones of both: the lower layers of the deeper one are left.
        count = min(map(len, stages))
        places = dict(zip(*(x[-count:] for x in stages), strict=True))
        places[place_of(student)] = place_of(teacher)
    known_layers(student, [*places], str(wish.student))
    known_layers(teacher, [*places.values()], str(wish.model))
    return places


def _story(
    wish: Wish,
    work: Project,
    method: Method,
    teacher: keras.Model,
    student: keras.Model,
) -> Story:
    alone = work.learn("plain", ALONE, student)
    found = work.learn(
        "method", method.title, student, lambda x: method.model(x, teacher)
    )
    # The layer before the head says most of what is known.
    place = list(method.places.items())[-1]
    train = work.lessons.parts["train"]
    sizes = f"{student.count_params():,} instead of {teacher.count_params():,}"
    return Story(
        title=f"Compressed: {wish.model.stem}",
        lead=f"{wish.student.name}, with {sizes} weights, has learnt from "
        f"{wish.model.name} on {len(train.paths)} pictures.",
        results={ALONE: alone, method.title: found},
        plain=ALONE,
        parts=work.lessons.parts,
        **work.neurons(teacher, found.model, place, method.loss(), False),
        settings={
            "model": wish.model,
            "student": wish.student,
            "method": method.title,
            **method.settings(),
            **wish.settings.shown(),
        },
        others=_of_teacher(work.lessons, teacher),
    )


def _of_teacher(lessons, teacher):
    """The teacher's accuracies, if it predicts the same classes."""
    classes = len(lessons.parts["train"].class_names)
    if teacher.output_shape != (None, classes):
        return {}
    found = lessons.predictions(teacher)
    reached = {
        part: accuracy(found[part], lessons.parts[part].labels)
        for part in found
    }
    return {TEACHER: {**reached, "epochs": 0, "own": False}}
