"""Compression: a small network takes over from a large one."""

import csv
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.compression import Budget, inherit
from keras_otreg.compression.narrowing import with_fewer_neurons
from keras_otreg.compression.resources import summary_rows
from keras_otreg.data import picture_parts
from keras_otreg.losses import LogitsDistillation
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows import layers
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.project import begin, started
from keras_otreg.workflows.results import HEAD_ONLY, Result, score
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import Trained, write_table

ALONE, TEACHER = "the student alone", "the teacher"
INHERITED, TRAINED = "inherited weights", "inherited, then trained"
NEW, DISTILLED = "new weights, trained", "new weights, distilled"
LAYERS = "layers.csv"
# Pictures that weights are inherited on, and of whose batch the time is taken.
SAMPLES, TIMED = 500, 32
REPEATS = 15
# Of the learning rate for new weights, where training starts near its end.
RATE = 0.1
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
    student inherits its weights on up to 500 training pictures, without their
    labels, and is trained. Beside it the same network is trained from new
    weights, alone and, if the classes are the teacher's, by distillation. A
    student of its own architecture is trained alone, beside the teacher, and
    from what it can inherit by layers of the same names.

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
    parts = begin(given, pathlib.Path(data))
    acts = method, at, weight or WEIGHTS.get(method)
    if student is not None:
        paths = pathlib.Path(model), pathlib.Path(student)
        return _train(paths, parts, acts, given)
    # Their labels are not used: also pictures that were not drawn.
    unlabelled = picture_parts(pathlib.Path(data), given.seed)["train"]
    return _narrow(pathlib.Path(model), parts, unlabelled, size, acts, given)


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


def _train(paths, parts, acts, given):
    """`compress` with a student of its own architecture."""
    teacher = network_in(paths[0], "model")
    small = network_in(paths[1], "student")
    shape = picture_shape(small, given.image_size, "student")
    _check_pictures(picture_shape(teacher, shape[0], "model"), shape)
    classes = len(parts["train"].class_names)
    small = layers.classifier(small, classes, given.seed, "student")
    how, others = _method(acts, teacher, small, paths)
    others["student"] = small
    with started(
        *("compress", given, parts, shape, others), keep_statistics=False
    ) as project:
        results = {ALONE: project.train("plain", ALONE, small)}
        results[how.title] = project.train(
            "method", how.title, small, lambda x: how.model(x, teacher)
        )
        try:
            start = _inherited(project, small, teacher, parts["train"])
        except ValueError:
            # A student of other layers has nothing to inherit.
            start = None
        if start is not None:
            tuned = {TRAINED: _trained_on(project, start)}
            results |= tuned | project.interpolate(start, tuned)
        return _finish(
            *(project, results, (how.title, ALONE), how, teacher),
            f"{paths[1].name}, with {small.count_params():,} instead of "
            f"{teacher.count_params():,} weights, has learnt from "
            f"{paths[0].name} on {len(parts['train'].paths)} pictures.",
            {"model": paths[0], "student": paths[1]},
            others=_of_teacher(project, teacher),
        )


def _narrow(model, parts, unlabelled, size, acts, given):
    """`compress` without a student."""
    large = network_in(model, "model")
    shape = picture_shape(large, given.image_size, "model")
    classes = len(parts["train"].class_names)
    is_same_task = large.output_shape == (None, classes)
    teacher = layers.classifier(large, classes, given.seed, "model")
    how, others = _method(acts, teacher, teacher, (model, model))
    others |= {"size": str(size), "unlabelled pictures": unlabelled}
    with started(
        *("compress", given, parts, shape, others), keep_statistics=False
    ) as project:
        start = _inherited(project, size, teacher, unlabelled)
        results = {INHERITED: start}
        if not is_same_task:
            start = project.solve_head(copy_of(start.model))
            results = {HEAD_ONLY: start}
        results |= _stages(project, start, teacher, how, is_same_task)
        student = results[project.kept(results)].model
        return _finish(
            *(project, results, (TRAINED, NEW), how, teacher),
            f"{model.name}, made narrower: {student.count_params():,} instead "
            f"of {teacher.count_params():,} weights, which it inherited on up "
            f"to {SAMPLES} pictures without labels.",
            {"model": model, "size": size},
            others=_of_teacher(project, large),
            narrowed=_tables(project, teacher, student),
        )


def _method(acts, teacher, student, paths):
    """The method, and the settings on which its results depend."""
    name, at, weight = acts
    if at:
        pairs = [one.partition("=") for one in at]
        places = {layer: other or layer for layer, _, other in pairs}
    else:
        blocks = [layers.main_layers(x, PLACES) for x in (student, teacher)]
        # The last ones of both: the first ones of the deeper are left out.
        count = min(map(len, blocks))
        places = dict(zip(*(x[-count:] for x in blocks), strict=True))
        places[layers.place_of(student)] = layers.place_of(teacher)
    layers.known_layers(student, [*places], str(paths[1]))
    layers.known_layers(teacher, [*places.values()], str(paths[0]))
    how = Method(name, places, weight)
    # So that errors come before training.
    how.model(copy_of(student), teacher)
    others = {"method": name, "at": places, "weight": weight}
    return how, {"model": teacher, **others}


def _finish(project, results, pair, how, teacher, lead, shown, **more):
    student = results[project.kept(results)].model
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


def _of_teacher(project, teacher):
    """The teacher's accuracies, if it predicts the same classes."""
    classes = len(project.parts["train"].class_names)
    if teacher.output_shape != (None, classes):
        return []
    reached = {
        part: score(found, project.parts[part].labels)[0]
        for part, found in project.predictions(teacher).items()
    }
    return [{"title": TEACHER, **reached, "epochs": 0, "chosen": False}]


def _inherited(project, student, teacher, files):
    """The stage that fits a student, or one of a `width`, to the teacher."""

    def work():
        _, samples = project.some(files, SAMPLES)
        seed = project.settings.seed
        if isinstance(student, keras.Model):
            found = copy_of(student)
        else:
            found, _ = with_fewer_neurons(teacher, student, samples, seed=seed)
        table = inherit(found, teacher, samples, seed=seed, verbose=False)
        rows = [
            {
                "layer": fit.path,
                "neurons": f"{len(fit.neurons)} of {fit.of}",
                "variance explained": f"{fit.explained:.3f}",
            }
            for fit in table.values()
        ]
        write_table(project.run.folder / LAYERS, rows)
        return Trained(found)

    return project.stage("inherited", INHERITED, work)


def _stages(project, start, teacher, method, is_same_task):
    """The stages that train a narrowed student, and its controls."""
    keras.utils.set_random_seed(project.settings.seed)
    new = keras.models.clone_model(start.model)
    found = {NEW: project.train("plain", NEW, new)}
    if is_same_task:
        ends = [x.layers[-1].name for x in (new, teacher)]
        penalty = Penalty(LogitsDistillation(from_logits=False), *ends)
        found[DISTILLED] = project.train(
            *("distilled", DISTILLED, new),
            lambda x: TransferModel(x, teacher, [penalty]),
        )
    title = f"inherited, then {method.title}"
    tuned = {TRAINED: _trained_on(project, start)}
    tuned[title] = _trained_on(
        *(project, start, "method", title), lambda x: method.model(x, teacher)
    )
    return found | tuned | project.interpolate(start, tuned)


def _trained_on(project, start, name="inherited-trained", title=TRAINED, *wrap):
    """The stage that trains inherited weights, at a share of the rate."""
    rate = RATE * project.settings.learning_rate
    return project.train(name, title, start.model, *wrap, learning_rate=rate)


def _tables(project, teacher, student):
    """Fitted layers of a narrowed student, and what both networks cost."""
    with open(project.run.folder / LAYERS, encoding="utf-8") as file:
        fitted = list(csv.DictReader(file))
    both = teacher, student
    flops = [sum(r.resources.flops for r in summary_rows(x)) for x in both]
    _, pictures = project.some(project.parts["validation"], TIMED)
    times = milliseconds(both, pictures)
    costs = [
        ("weights", *(f"{x.count_params():,}" for x in both)),
        ("operations for a picture", *(f"{x:,}" for x in flops)),
        ("size of the file", *(f"{_size_of(x) / 1e6:.2f} MB" for x in both)),
        ("time for a picture", *(f"{x:.2f} ms" for x in times)),
    ]
    return {"layers": fitted, "costs": costs}


def milliseconds(models: Any, pictures: np.ndarray) -> list[float]:
    """Median time of each network for a picture of a batch, run in turn."""
    times: list[list[float]] = [[] for _ in models]
    for model in models:
        model.predict_on_batch(pictures)
    for _ in range(REPEATS):
        for model, own in zip(models, times, strict=True):
            begin = time.perf_counter()
            model.predict_on_batch(pictures)
            own.append(time.perf_counter() - begin)
    return [1000.0 * statistics.median(x) / len(pictures) for x in times]


def _size_of(model):
    with tempfile.TemporaryDirectory() as folder:
        unfinished = pathlib.Path(folder) / "model.keras"
        copy_of(model).save(unfinished)
        return unfinished.stat().st_size


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
