"""Compression: training of a small network beside a large teacher."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.workflows.heads import classifier, place_of
from keras_otreg.workflows.layers import known_layers, main_layers
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.project import (
    Project,
    begin,
    few_pictures,
    trained_project,
)
from keras_otreg.workflows.results import ReportData, Result, accuracy
from keras_otreg.workflows.settings import Settings

ALONE, TEACHER = "the student alone", "the teacher"
# Blocks where a method acts, beside the layer before the head.
PLACES = 3
# What did best at all stages of a narrow student, see the page of concepts.
WEIGHTS = {"alignment": 1.0}


def compress(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    student: str | os.PathLike[str],
    *,
    method: str = "alignment",
    at: Sequence[str] = (),
    weight: float | None = None,
    **settings: Any,
) -> Result:
    """Train a student alone and beside a teacher, and keep the better one.

    Args:
        model: Path of the large network, a `.keras` file.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        student: Path of the small network, which starts with its weights.
        method: `"alignment"`, or another method that acts between layers.
        at: Layers of the student, each as `"layer"` or as
            `"layer=layer of the teacher"`; the ends of up to three blocks and
            the layers before the heads if none is given.
        weight: The strength; 1 for `"alignment"`, else the middle of what a
            search draws from, if not given.
        **settings: Those of `Settings`: `out`, `shots`, `image_size`,
            `epochs`, `patience`, `batch_size`, `learning_rate`, `seed` and
            `quiet`.

    Returns:
        The `Result`.

    Raises:
        OSError: If a network or the folder cannot be used.
        ValueError: If the pictures or a layer are not there, the networks take
            other pictures, or the folder holds another run.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.compress(
            "tuned/model.keras", "clothes", "small.keras"
        )
        ```
    """
    given = Settings.of("compress", settings)
    paths = pathlib.Path(model), pathlib.Path(student)
    console = begin(given, pathlib.Path(data))
    teacher, small = (
        network_in(paths[0], "model"),
        network_in(paths[1], "student"),
    )
    shape = picture_shape(small, given.image_size, "student")
    _check_pictures(picture_shape(teacher, shape[0], "model"), shape)
    parts = few_pictures(pathlib.Path(data), given)
    classes = len(parts["train"].class_names)
    small = classifier(small, classes, given.seed, "student")
    places = _places(at, teacher, small)
    known_layers(small, [*places], str(student))
    known_layers(teacher, [*places.values()], str(model))
    weight = weight or WEIGHTS.get(method)
    how = Method(method, places, weight)
    how.check(small, teacher)

    def work(project):
        alone = project.train("plain", ALONE, small)
        found = project.train(
            "method", how.title, small, lambda x: how.model(x, teacher)
        )
        results = {ALONE: alone, how.title: found}
        return _report_data(project, how, results, teacher, small, paths)

    networks = {"model": teacher, "student": small}
    return trained_project(
        "compress",
        given,
        parts,
        networks,
        shape,
        work,
        console,
        {"method": method, "at": places, "weight": weight},
        keep_statistics=False,
    )


def _places(at, teacher, student):
    """The student's layers, and the teacher's that belong to them."""
    if at:
        pairs = [one.partition("=") for one in at]
        return {layer: other or layer for layer, _, other in pairs}
    blocks = [main_layers(x, PLACES) for x in (student, teacher)]
    # The last ones of both: the first ones of the deeper are left out.
    count = min(map(len, blocks))
    places = dict(zip(*(x[-count:] for x in blocks), strict=True))
    places[place_of(student)] = place_of(teacher)
    return places


def _report_data(
    project: Project, method, results, teacher, student, paths
) -> ReportData:
    chosen = project.best(results)
    # The layer before the head has most to do with the classes.
    place = list(method.places.items())[-1]
    train = project.trainer.parts["train"]
    weights = [f"{x.count_params():,}" for x in (student, teacher)]
    shown = {
        "model": paths[0],
        "student": paths[1],
        "method": method.title,
        **method.settings(),
    }
    return project.report(
        *(results, method.title, ALONE, shown),
        title=f"Compressed: {paths[0].stem}",
        lead=f"{paths[1].name}, with {weights[0]} instead of {weights[1]} "
        f"weights, has learnt from {paths[0].name} on {len(train.paths)} "
        "pictures.",
        **project.neurons(
            *(teacher, results[chosen].model, place, method.loss()), same=False
        ),
        others=_of_teacher(project.trainer, teacher),
    )


def _of_teacher(trainer, teacher: keras.Model):
    """The teacher's accuracies, if it predicts the same classes."""
    classes = len(trainer.parts["train"].class_names)
    if teacher.output_shape != (None, classes):
        return {}
    reached = {
        part: accuracy(found, trainer.parts[part].labels)
        for part, found in trainer.predictions(teacher).items()
    }
    return {TEACHER: {**reached, "epochs": 0, "chosen": False}}


def _check_pictures(model, student):
    """Raise if two networks take pictures of other sizes or colours."""
    ways_out = []
    if model[:2] != student[:2]:
        ways_out.append("Put a `keras.layers.Resizing` in front of either")
    if model[2] != student[2]:
        ways_out.append(
            f"Build a student of {model[2]} channels, or put "
            "`keras.layers.Concatenate()([x, x, x])`, which makes 3 channels "
            "of a grey picture x, in front of the network that takes 3"
        )
    if ways_out:
        raise checks.invalid(
            f"a student that takes pictures of shape {model}, as the model "
            "does",
            f"one that takes {student}",
            ". ".join(ways_out),
        )
