"""Compression of a teacher without a student: narrowing."""

import csv
import pathlib
import statistics
import tempfile
import time
from typing import Any

import keras
import numpy as np

from keras_otreg.compression import inherit
from keras_otreg.compression.narrowing import with_fewer_neurons
from keras_otreg.compression.resources import summary_rows
from keras_otreg.data import PictureFiles
from keras_otreg.files import whole
from keras_otreg.losses import LogitsDistillation
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.project import Project
from keras_otreg.workflows.stages import Trained, write_table

INHERITED = "inherited weights"
TRAINED = "inherited, then trained"
NEW = "new weights, trained"
DISTILLED = "new weights, distilled"
LAYERS = "layers.csv"
# Pictures that weights are inherited on, and of whose batch the time is taken.
SAMPLES, TIMED = 500, 32
REPEATS = 15
# Of the learning rate for new weights, where training starts near its end.
RATE = 0.1


def inherited(
    project: Project, student: Any, teacher: keras.Model, files: PictureFiles
) -> Trained:
    """The stage that fits a student's weights to the teacher, untrained.

    `student` is a network, or the argument `width` of `narrow`; the labels of
    the pictures are not used.

    Raises:
        ValueError: If a given student has no layers to inherit.
    """

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


def trained_stages(
    project: Project,
    start: Trained,
    teacher: keras.Model,
    method: Method,
    is_same_task: bool,
) -> dict[str, Trained]:
    """The stages that train a narrowed student, and its controls."""
    keras.utils.set_random_seed(project.settings.seed)
    new = keras.models.clone_model(start.model)
    found = {NEW: project.train("plain", NEW, new)}
    if is_same_task:
        found[DISTILLED] = project.train(
            "distilled", DISTILLED, new, lambda x: distilled(x, teacher)
        )
    title = f"inherited, then {method.title}"
    tuned = {
        TRAINED: trained_from(project, start.model),
        title: trained_from(
            *(project, start.model, "method", title),
            lambda x: method.model(x, teacher),
        ),
    }
    return found | tuned | project.interpolate(start, tuned)


def trained_from(
    project: Project,
    start: keras.Model,
    name: str = "inherited-trained",
    title: str = TRAINED,
    *wrap: Any,
) -> Trained:
    """The stage that trains inherited weights, at a share of the rate."""
    rate = RATE * project.settings.learning_rate
    return project.train(name, title, start, *wrap, learning_rate=rate)


def distilled(student: keras.Model, teacher: keras.Model) -> keras.Model:
    """A model to train a student by the teacher's predictions."""
    penalty = Penalty(
        LogitsDistillation(from_logits=False),
        at=student.layers[-1].name,
        teacher_at=teacher.layers[-1].name,
        weight=1.0,
    )
    return TransferModel(student, teacher, [penalty])


def narrowed(
    project: Project, teacher: keras.Model, student: keras.Model
) -> dict[str, Any]:
    """Tables about a narrowed student: its fitted layers, and the `costs`.

    A row of the costs tells what it is, of the teacher, and of the student.
    """
    with open(project.run.folder / LAYERS, encoding="utf-8") as file:
        layers = list(csv.DictReader(file))
    both = teacher, student
    flops = [sum(r.resources.flops for r in summary_rows(x)) for x in both]
    files = [_file_size(x) for x in both]
    _, pictures = project.some(project.parts["validation"], TIMED)
    times = milliseconds(both, pictures)
    costs = [
        ("weights", *(f"{x.count_params():,}" for x in both)),
        ("operations for a picture", *(f"{x:,}" for x in flops)),
        ("size of the file", *(f"{x / 1e6:.2f} MB" for x in files)),
        ("time for a picture", *(f"{x:.2f} ms" for x in times)),
    ]
    return {"layers": layers, "costs": costs}


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


def _file_size(model):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        with whole(path) as unfinished:
            copy_of(model).save(unfinished)
        return path.stat().st_size
