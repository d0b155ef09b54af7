"""Compression: a small network takes over from a large one."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.data import picture_parts
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.heads import classifier, place_of
from keras_otreg.workflows.layers import known_layers, main_layers
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.narrowing import (
    INHERITED,
    NEW,
    SAMPLES,
    TRAINED,
    inherited,
    narrowed,
    size_of,
    trained_from,
    trained_stages,
)
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.project import (
    Project,
    begin,
    few_pictures,
    trained_project,
)
from keras_otreg.workflows.results import (
    HEAD_ONLY,
    ReportData,
    Result,
    accuracy,
)
from keras_otreg.workflows.settings import Settings

ALONE, TEACHER = "the student alone", "the teacher"
# Blocks where a method acts, beside the layer before the head.
PLACES = 3
# What did best at all stages of a narrow student, see the page of concepts.
WEIGHTS = {"alignment": 1.0}


def compress(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    student: str | os.PathLike[str] | None = None,
    *,
    width: float | None = None,
    parameters: float | None = None,
    flops: float | None = None,
    method: str = "alignment",
    at: Sequence[str] = (),
    weight: float | None = None,
    **settings: Any,
) -> Result:
    """Make a small network of a large one, and keep what is best.

    Without a student, the teacher is made narrower by `otreg.narrow`: the
    student inherits its weights on up to 500 training pictures, whose labels
    are not used, and is trained. Beside it stands the same network from new
    weights, trained alone and, if the classes are the teacher's, by
    distillation.

    A student of its own architecture is trained alone, beside the teacher,
    and from what it can inherit by layers of the same names.

    Args:
        model: Path of the large network, a `.keras` file.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        student: Path of the small network, which starts with its weights.
        width: Without a student, the share of neurons that stay.
        parameters: Or the most parameters: a number, or a share of at most 1.
        flops: Or the most operations for a picture: a number, or a share.
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
            other pictures, or the folder holds another run; if there is
            neither a student nor a size, or both.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.compress(
            "tuned/model.keras", "clothes", width=0.5
        )
        ```
    """
    given = Settings.of("compress", settings)
    sizes = {"width": width, "parameters": parameters, "flops": flops}
    size = size_of(student, sizes)
    if student is None:
        return _narrow(model, data, size, method, at, weight, given)
    return _train(model, data, student, method, at, weight, given)


def _train(model, data, student, method, at, weight, given):
    """`compress` of a student of its own architecture."""
    paths = pathlib.Path(model), pathlib.Path(student)
    console = begin(given, pathlib.Path(data))
    teacher = network_in(paths[0], "model")
    small = network_in(paths[1], "student")
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
        try:
            start = inherited(project, small, teacher, parts["train"])
        except ValueError:
            # A student of other layers has nothing to inherit.
            start = None
        if start is not None:
            tuned = trained_from(
                project, "inherited-trained", TRAINED, start.model
            )
            results[TRAINED] = tuned
            results |= project.interpolate(start, {TRAINED: tuned})
        return _report_data(project, how, results, teacher, small, paths)

    networks = {"model": teacher, "student": small}
    identity = {"method": method, "at": places, "weight": weight}
    return trained_project(
        *("compress", given, parts, networks, shape, work, console, identity),
        keep_statistics=False,
    )


def _narrow(model, data, size, method, at, weight, given):
    """`compress` without a student."""
    model, data = pathlib.Path(model), pathlib.Path(data)
    console = begin(given, data)
    large = network_in(model, "model")
    shape = picture_shape(large, given.image_size, "model")
    parts = few_pictures(data, given)
    classes = len(parts["train"].class_names)
    is_same_task = large.output_shape == (None, classes)
    teacher = classifier(large, classes, given.seed, "model")
    places = _places(at, teacher, teacher)
    known_layers(teacher, [*places, *places.values()], str(model))
    weight = weight or WEIGHTS.get(method)
    how = Method(method, places, weight)
    how.check(teacher, teacher)
    # No labels are used: also of pictures that were not drawn.
    unlabelled = picture_parts(data, given.seed)["train"]

    def work(project):
        start = inherited(project, size, teacher, unlabelled)
        results = {INHERITED: start}
        if not is_same_task:
            start = project.solve_head(copy_of(start.model))
            results = {HEAD_ONLY: start}
        results |= trained_stages(project, start, teacher, how, is_same_task)
        others = _of_teacher(project.trainer, large)
        shown = {"model": model, "size": size}
        return _narrow_report(project, results, teacher, how, shown, others)

    identity = {"method": method, "at": places, "weight": weight}
    identity["size"] = str(size)
    networks = {"model": teacher}
    return trained_project(
        *("compress", given, parts, networks, shape, work, console, identity),
        keep_statistics=False,
        digests={"unlabelled": unlabelled},
    )


def _narrow_report(project, results, teacher, method, shown, others):
    student = results[project.best(results)].model
    weights = [f"{x.count_params():,}" for x in (student, teacher)]
    place = list(method.places.items())[-1]
    shown |= {"method": method.title, **method.settings()}
    return project.report(
        *(results, TRAINED, NEW, shown),
        title=f"Compressed: {shown['model'].stem}",
        lead=f"{shown['model'].name}, made narrower: {weights[0]} instead of "
        f"{weights[1]} weights, which it inherited on up to {SAMPLES} "
        "pictures without labels.",
        **project.neurons(teacher, student, place, method.loss(), same=False),
        others=others,
        narrowed=narrowed(project, teacher, student),
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
