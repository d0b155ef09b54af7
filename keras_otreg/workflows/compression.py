"""Compression: a small network takes over from a large one."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_otreg import checks
from keras_otreg.compression import Budget
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
    trained_from,
    trained_stages,
)
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.project import begin, started
from keras_otreg.workflows.results import HEAD_ONLY, Result, accuracy
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.training import few_pictures

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
        **settings: Those of `Settings`, such as `out`, `shots` and `epochs`.

    Returns:
        The `Result`.

    Raises:
        OSError, ImportError: As `finetune` does.
        ValueError: As `finetune` does; if the networks take other pictures, or
            if there is neither a student nor a size, or both.

    Example:
        ```python
        result = otreg.workflows.compress(
            "tuned/model.keras", "clothes", width=0.5
        )
        ```
    """
    given = Settings.of("compress", settings)
    size = _size(student, width=width, parameters=parameters, flops=flops)
    begin(given, pathlib.Path(data))
    acts = method, at, weight or WEIGHTS.get(method)
    if student is None:
        return _narrow(pathlib.Path(model), data, size, acts, given)
    paths = pathlib.Path(model), pathlib.Path(student)
    return _train(paths, data, acts, given)


def _size(student, **sizes):
    """The argument `width` of `narrow`; `None` if there is a student."""
    given = {k: x for k, x in sizes.items() if x is not None}
    if len(given) + (student is not None) != 1:
        named = {**given, **({} if student is None else {"student": student})}
        raise ValueError(
            "Expected a `student`, or one of `width`, `parameters` and `flops` "
            f"to make one of the teacher. Received: {named or 'none of them'}"
        )
    if student is not None:
        return None
    return given["width"] if "width" in given else Budget(**given)


def _train(paths, data, acts, given):
    """`compress` with a student of its own architecture."""
    teacher = network_in(paths[0], "model")
    small = network_in(paths[1], "student")
    shape = picture_shape(small, given.image_size, "student")
    _check_pictures(picture_shape(teacher, shape[0], "model"), shape)
    parts = few_pictures(pathlib.Path(data), given)
    classes = len(parts["train"].class_names)
    small = classifier(small, classes, given.seed, "student")
    how, others = _method(acts, teacher, small, paths)
    others["student"] = small
    with started(
        *("compress", given, parts, shape, others), keep_statistics=False
    ) as project:
        results = {
            ALONE: project.train("plain", ALONE, small),
            how.title: project.train(
                "method", how.title, small, lambda x: how.model(x, teacher)
            ),
        }
        try:
            start = inherited(project, small, teacher, parts["train"])
        except ValueError:
            # A student of other layers has nothing to inherit.
            start = None
        if start is not None:
            tuned = {TRAINED: trained_from(project, start.model)}
            results |= tuned | project.interpolate(start, tuned)
        return _finish(
            *(project, results, (how.title, ALONE), how, teacher),
            f"{paths[1].name}, with {small.count_params():,} instead of "
            f"{teacher.count_params():,} weights, has learnt from "
            f"{paths[0].name} on {len(parts['train'].paths)} pictures.",
            {"model": paths[0], "student": paths[1]},
            others=_of_teacher(project, teacher),
        )


def _narrow(model, data, size, acts, given):
    """`compress` without a student."""
    large = network_in(model, "model")
    shape = picture_shape(large, given.image_size, "model")
    parts = few_pictures(pathlib.Path(data), given)
    classes = len(parts["train"].class_names)
    is_same_task = large.output_shape == (None, classes)
    teacher = classifier(large, classes, given.seed, "model")
    how, others = _method(acts, teacher, teacher, (model, model))
    # No labels are used: also of pictures that were not drawn.
    unlabelled = picture_parts(pathlib.Path(data), given.seed)["train"]
    others |= {"size": str(size), "unlabelled pictures": unlabelled}
    with started(
        *("compress", given, parts, shape, others), keep_statistics=False
    ) as project:
        start = inherited(project, size, teacher, unlabelled)
        results = {INHERITED: start}
        if not is_same_task:
            start = project.solve_head(copy_of(start.model))
            results = {HEAD_ONLY: start}
        results |= trained_stages(project, start, teacher, how, is_same_task)
        student = results[project.best(results)].model
        return _finish(
            *(project, results, (TRAINED, NEW), how, teacher),
            f"{model.name}, made narrower: {student.count_params():,} instead "
            f"of {teacher.count_params():,} weights, which it inherited on up "
            f"to {SAMPLES} pictures without labels.",
            {"model": model, "size": size},
            others=_of_teacher(project, large),
            narrowed=narrowed(project, teacher, student),
        )


def _method(acts, teacher, student, paths):
    """The method, and the settings on which its results depend."""
    name, at, weight = acts
    places = _places(at, teacher, student)
    known_layers(student, [*places], str(paths[1]))
    known_layers(teacher, [*places.values()], str(paths[0]))
    how = Method(name, places, weight)
    how.check(student, teacher)
    others = {"method": name, "at": places, "weight": weight}
    return how, {"model": teacher, **others}


def _finish(project, results, pair, how, teacher, lead, shown, **more):
    student = results[project.best(results)].model
    # The layer before the head has most to do with the classes.
    place = list(how.places.items())[-1]
    return project.finish(
        *(results, *pair),
        {**shown, "method": how.title, **how.settings()},
        title=f"Compressed: {shown['model'].stem}",
        lead=lead,
        **project.neurons(teacher, student, place, how.loss(), same=False),
        **more,
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


def _of_teacher(project, teacher):
    """The teacher's accuracies, if it predicts the same classes."""
    classes = len(project.parts["train"].class_names)
    if teacher.output_shape != (None, classes):
        return {}
    reached = {
        part: accuracy(found, project.parts[part].labels)
        for part, found in project.predictions(teacher).items()
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
