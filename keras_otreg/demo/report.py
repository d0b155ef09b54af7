"""What a demo found: a table, files, pictures and sentences."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import rich.box
import rich.table
from keras import ops

from keras_otreg import files, plots
from keras_otreg.data import Labelled
from keras_otreg.demo.rows import ALIGNMENT, BASELINES, TRANSPORT
from keras_otreg.demo.task import Task
from keras_otreg.experiments import networks
from keras_otreg.experiments.intervals import FEWEST, interval
from keras_otreg.experiments.settings import Settings
from keras_otreg.features import capture
from keras_otreg.files import written
from keras_otreg.losses import RepresentationTransport
from keras_otreg.plots.plan import row_shares

# Samples that the neurons are seen on.
SAMPLES = 256
SAME = "same network, after"
BEFORE = "a quarter as wide, before"
AFTER = "a quarter as wide, after"


@dataclasses.dataclass(frozen=True)
class Result:
    """What one method reached.

    Attributes:
        student: Which network learnt.
        method: What was done.
        strength: Strength of the regulariser; `None` for none.
        parameters: Number of the student's parameters.
        curves: Test accuracies of shape `(seeds, points)`.
        seconds: Mean time of a training.
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
    """Prints the table, and how it came about."""
    console.print(as_table(results))
    console.print(how_measured(task, settings))
    console.print(how_strong(settings))


def as_table(results: Sequence[Result]) -> rich.table.Table:
    """The table that the demo prints, with a section for each student."""
    chosen = any(result.strength is not None for result in results)
    numbers = ["strength"] * chosen + ["test accuracy", "seconds"]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("student")
    table.add_column("method")
    for name in numbers:
        table.add_column(name, justify="right")
    previous = None
    for result in results:
        if previous not in (None, result.student):
            table.add_section()
        table.add_row(
            "" if previous == result.student else result.student,
            result.method,
            *[_strength(result)] * chosen,
            f"{result.mean:.3f} ± {result.deviation:.3f}",
            f"{result.seconds:.1f}",
        )
        previous = result.student
    return table


def _strength(result):
    return "" if result.strength is None else f"{result.strength:g}"


def write(
    results: Sequence[Result],
    settings: Settings,
    folder: pathlib.Path,
    baselines: Mapping[str, str] = BASELINES,
) -> None:
    """Writes the table with the accuracy of every seed, and learning curves.

    Args:
        results: What was measured.
        settings: The seeds, and the steps of the curves.
        folder: Where to.
        baselines: For each student, the method to compare others with.
    """
    header = ["student", "method", "strength", "parameters"]
    header += ["mean", "standard_deviation", "seconds"]
    header += [f"seed_{seed}" for seed in settings.reported_seeds]
    files.write_csv(folder / "table.csv", header, map(_row, results))
    curves = folder / "learning_curves.png"
    _draw_curves(results, settings, curves, baselines)


def _row(result):
    numbers = [result.mean, result.deviation, result.seconds]
    numbers += list(result.accuracies)
    return [
        result.student,
        result.method,
        result.strength,
        result.parameters,
        *(f"{number:.4f}" for number in numbers),
    ]


def _draw_curves(
    results: Sequence[Result],
    settings: Settings,
    path: pathlib.Path,
    baselines: Mapping[str, str],
) -> None:
    """Writes the learning curves: each method against its baseline."""
    baselines = {
        student: next(
            x for x in results if (x.student, x.method) == (student, name)
        )
        for student, name in baselines.items()
    }
    panels = {}
    for result in results:
        baseline = baselines[result.student]
        if result is not baseline:
            panels[f"{result.method}\n({result.student})"] = {
                baseline.method: baseline.curves,
                result.method: result.curves,
            }
    steps = settings.steps_per_point * np.arange(1, settings.points + 1)
    written(path, plots.learning_curves(panels, steps).savefig)


def plans(
    teacher: keras.Model,
    wide: keras.Model,
    narrow: keras.Model,
    data: Labelled,
    settings: Settings,
) -> dict[str, np.ndarray]:
    """The plans from a teacher to two students, and to the second untrained.

    Args:
        teacher: The source network.
        wide: The student of the same width, as trained with the last seed.
        narrow: The narrow one, likewise.
        data: Samples to see the neurons on.
        settings: Size of the networks, and the seeds.

    Returns:
        For the title of each, a plan as of `plan_between`.
    """
    keras.utils.set_random_seed(settings.reported_seeds[-1])
    students = {
        SAME: wide,
        BEFORE: networks.narrow(settings),
        AFTER: narrow,
    }
    return {
        title: plan_between(teacher, student, data)
        for title, student in students.items()
    }


def plan_between(
    teacher: keras.Model, student: keras.Model, data: Labelled
) -> np.ndarray:
    """The plan between the penalised layers, seen on some samples.

    Returns:
        Shape `(teacher neurons, student neurons)`.
    """
    found = []
    for model in (teacher, student):
        _, layers = capture(model, data.x[:SAMPLES], ["features"], False)
        found.append(layers["features"])
    return ops.convert_to_numpy(RepresentationTransport().plan(*found))


def how_measured(task: Task, settings: Settings) -> str:
    """What the numbers of the table are."""
    labels = len(np.unique(task.pool.y)) * settings.per_class
    return (
        f"Mean and standard deviation over {settings.seeds} draws of {labels} "
        f"labels, {settings.steps} steps each; accuracy on "
        f"{len(task.test.y)} test digits; seconds are per training."
    )


def how_strong(settings: Settings) -> str:
    """Where the strengths in the table come from."""
    if not settings.strengths:
        return "Strengths are the package's defaults; nothing was chosen."
    grid = ", ".join(f"{strength:g}" for strength in settings.strengths)
    return (
        f"Each strength was chosen among {grid} with {settings.draws} other "
        "draws of labels, by the accuracy on the training labels not drawn; "
        "the test set had no part in it."
    )


def conclusions(results: Sequence[Result]) -> Iterator[str]:
    """Sentences on which method is ahead, for each student."""
    for student, baseline in BASELINES.items():
        group = [x for x in results if x.student == student]
        yield best(student, group)
        for result in group:
            if result.method in (TRANSPORT, ALIGNMENT):
                yield _against(result, _named(group, baseline), student)


def best(student: str, group: Sequence[Result]) -> str:
    """Which method is ahead, and which cannot be told from it."""
    leader = max(group, key=lambda result: result.mean)
    text = f"{_capital(student)}: {leader.method} has the highest mean, "
    text += f"{leader.mean:.3f}"
    if len(leader.accuracies) < FEWEST:
        return f"{text}; so few seeds cannot tell what is luck."
    near = [x.method for x in group if x is not leader and _tied(leader, x)]
    if near:
        return f"{text}; not clearly apart from it: {', '.join(near)}."
    return f"{text}, clearly apart from the rest."


def _against(result, baseline, student):
    gaps = result.accuracies - baseline.accuracies
    return (
        f"{_capital(student)}: {result.method} minus {baseline.method} is "
        f"{gaps.mean():+.3f} on average, and above zero for "
        f"{int((gaps > 0).sum())} of {len(gaps)} seeds."
    )


def _tied(best, other):
    """Whether the seeds leave it open which of two is better."""
    return interval(best.accuracies - other.accuracies).verdict != "better"


def _capital(text):
    return text[0].upper() + text[1:]


def _named(group, method):
    return next(x for x in group if x.method == method)


def captions(plans: Mapping[str, np.ndarray]) -> Iterator[str]:
    """What the pictures show."""
    yield (
        "learning_curves.png: mean test accuracy over the steps, with a band "
        "of one standard deviation over the seeds."
    )
    sharp = {title: _sharp(plan) for title, plan in plans.items()}
    partners = plans[SAME].argmax(axis=1)
    own = partners == np.arange(len(partners))
    yield (
        f"plan.png, {SAME}: {_count(sharp[SAME])} teacher neurons go by more "
        "than half to one student neuron, "
        f"{int((sharp[SAME] & own).sum())} of them to their own copy."
    )
    yield (
        f"plan.png: a quarter as wide, {_count(sharp[BEFORE])} teacher neurons "
        f"did so before training, {_count(sharp[AFTER])} do after it."
    )


def _sharp(plan):
    """Which teacher neurons go by more than half to one student neuron."""
    return row_shares(plan).max(axis=1) > 0.5


def _count(flags):
    return f"{int(flags.sum())} of {len(flags)}"
