"""Results of a demo: a table, files, pictures and sentences."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import rich.box
import rich.markup
import rich.table
from keras import ops

from keras_otreg import plots
from keras_otreg.data import Labelled
from keras_otreg.demo.rows import BASELINES
from keras_otreg.demo.task import Task
from keras_otreg.experiments import networks
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.statistics import FEWEST, interval
from keras_otreg.features import capture
from keras_otreg.files import write_csv, written
from keras_otreg.losses import RepresentationTransport

# Samples that the plan between neurons is computed on.
SAMPLES = 256
SAME = "same network, after"


@dataclasses.dataclass(frozen=True)
class Result:
    """Result of one method on a student.

    `curves` are test accuracies of shape `(seeds, points)`, `seconds` is the
    mean time of a training, `strength` is `None` without a penalty.
    """

    student: str
    method: str
    strength: float | None
    parameters: int
    curves: np.ndarray
    seconds: float

    @property
    def accuracies(self) -> np.ndarray:
        """Test accuracies at the end, of shape `(seeds,)`."""
        return self.curves[:, -1]

    @property
    def mean(self) -> float:
        """Mean test accuracy over the seeds."""
        return float(self.accuracies.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the test accuracy over the seeds."""
        return float(self.accuracies.std())


def show(
    results: Sequence[Result], task: Task, settings: Settings, console: Any
) -> None:
    """Print the table, and how it was measured."""
    console.print(_table(results))
    baselines = dict.fromkeys(BASELINES[x.student] for x in results)
    labels = len(np.unique(task.pool.y)) * settings.per_class
    choice = "Strengths are the package's defaults; nothing was chosen."
    if settings.strengths:
        grid = ", ".join(f"{strength:g}" for strength in settings.strengths)
        choice = (
            f"Each strength was chosen among {grid} with {settings.draws} "
            "other draws of labels, by the accuracy on the training labels not "
            "drawn; the test set was not used for it."
        )
    console.print(
        f"Mean and standard deviation over {settings.seeds} draws of {labels} "
        f"labels, {settings.steps} steps each; accuracy on "
        f"{len(task.test.y)} test digits, and gain over "
        f"{' or '.join(baselines)}, with its 95 % interval from {FEWEST} draws "
        "on; seconds are per training.",
        markup=False,
    )
    console.print(choice)


def _table(results):
    """The table, with a section for each student."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("student")
    table.add_column("method")
    for name in ("strength", "test accuracy", "gain", "seconds"):
        table.add_column(name, justify="right")
    previous = None
    for result in results:
        student, baseline = result.student, _baseline(results, result)
        if previous not in (None, student):
            table.add_section()
        gain = interval(result.accuracies - baseline.accuracies)
        table.add_row(
            "" if previous == student else student,
            result.method,
            "" if result.strength is None else f"{result.strength:g}",
            f"{result.mean:.3f} ± {result.deviation:.3f}",
            "" if result is baseline else rich.markup.escape(str(gain)),
            f"{result.seconds:.1f}",
        )
        previous = student
    return table


def _baseline(results, result):
    key = result.student, BASELINES[result.student]
    return next(x for x in results if (x.student, x.method) == key)


def write(
    results: Sequence[Result], settings: Settings, folder: pathlib.Path
) -> None:
    """Write the table with the accuracy of every seed, and learning curves."""
    header = ["student", "method", "strength", "parameters"]
    header += ["mean", "standard_deviation", "seconds"]
    header += [f"seed_{seed}" for seed in settings.reported_seeds]
    rows = []
    for x in results:
        numbers = (x.mean, x.deviation, x.seconds, *x.accuracies)
        row = [x.student, x.method, x.strength, x.parameters]
        rows.append([*row, *(f"{number:.4f}" for number in numbers)])
    write_csv(folder / "table.csv", header, rows)
    panels = {}
    for x in results:
        baseline = _baseline(results, x)
        if x is not baseline:
            curves = {baseline.method: baseline.curves, x.method: x.curves}
            panels[f"{x.method}\n({x.student})"] = curves
    steps = settings.steps_per_point * np.arange(1, settings.points + 1)
    figure = plots.learning_curves(panels, steps)
    written(folder / "learning_curves.png", figure.savefig)


def plans(
    teacher: keras.Model,
    wide: keras.Model,
    narrow: keras.Model,
    data: Labelled,
    settings: Settings,
) -> dict[str, np.ndarray]:
    """Plans from a teacher to two trained students and an untrained one.

    Each has the shape `(teacher neurons, student neurons)`, by its title.
    """
    keras.utils.set_random_seed(settings.reported_seeds[-1])
    students = {
        SAME: wide,
        "a quarter as wide, before": networks.narrow(settings),
        "a quarter as wide, after": narrow,
    }

    def features(model):
        x = data.x[:SAMPLES]
        return capture(model, x, ["features"], False)[1]["features"]

    known, loss = features(teacher), RepresentationTransport()
    return {
        title: ops.convert_to_numpy(loss.plan(known, features(student)))
        for title, student in students.items()
    }
