"""The demos, from the data to the files."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import rich.box
import rich.markup
import rich.table

from keras_otreg import plots
from keras_otreg.data.builders import LETTERS
from keras_otreg.demo import rows
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import Settings
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.statistics import FEWEST, chosen, interval
from keras_otreg.experiments.training import Trainings, accuracy
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


def run(
    task: rows.Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[Result]:
    """Train all methods, print one table and write four files into a folder."""
    teacher = _source_network(task, settings, console)
    console.print(
        f"Source network: trained on {len(task.source.y)} digits; its accuracy "
        f"is {accuracy(teacher, task.source_test):.3f} on other digits of the "
        f"source, and {accuracy(teacher, task.test):.3f} on the target's test "
        "digits before any transfer."
    )
    methods = rows.digit_rows(teacher, task, settings)
    results, learners = _compare(methods, task, settings, folder, console)
    wide, narrow = (
        learners[x, rows.TRANSPORT].student for x in (rows.WIDE, rows.NARROW)
    )
    written(folder / "fine_tuned.keras", wide.save)
    seed = settings.reported_seeds[-1]
    keras.utils.set_random_seed(seed)
    students = {
        SAME: wide,
        "a quarter as wide, before": networks.narrow(settings),
        "a quarter as wide, after": narrow,
    }
    plans = _plans(teacher, students, task.pool.x[:SAMPLES])
    written(folder / "plan.png", plots.plan(plans, aligned=[SAME]).savefig)
    console.print(
        f"Written to {folder}: fine_tuned.keras (the student of "
        f"'{rows.TRANSPORT}', seed {seed}, a plain Keras model), table.csv, "
        "learning_curves.png (mean test accuracy over the steps, with a band "
        "of one standard deviation), plan.png (which student neurons the "
        "teacher's neurons are transported to)"
    )
    return results


def run_joint(
    task: rows.Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[Result]:
    """Run the demo of joint transfer, from letters to digits."""
    network = _source_network(task, settings, console)
    console.print(
        f"Source network: trained on {len(task.source.y)} pictures of "
        f"{len(np.unique(task.source.y))} letters; its accuracy is "
        f"{accuracy(network, task.source_test):.3f} on other letters."
    )
    methods = rows.joint_rows(network, task, settings)
    results, learners = _compare(methods, task, settings, folder, console)
    shown = learners[rows.JOINT, rows.SHOWN]
    written(folder / "joint.keras", shown.student.save)
    # The mean plan between classes of the source and the target.
    plans = shown.model.source_task.transport.plan(
        shown.model.source_model.predict_on_batch(task.test.x),
        shown.student.predict_on_batch(task.test.x),
    )
    plan = keras.ops.convert_to_numpy(plans).mean(axis=0)
    figure = plots.class_plan(plan, LETTERS, [*map(str, range(plan.shape[1]))])
    written(folder / "class_plan.png", figure.savefig)
    console.print(
        f"Written to {folder}: joint.keras (the student of '{rows.SHOWN}', "
        f"seed {settings.reported_seeds[-1]}, a plain Keras model), table.csv, "
        "learning_curves.png, class_plan.png (transport from each digit to "
        "the letters)"
    )
    return results


def _source_network(task, settings, console):
    with progress(console, settings.source_epochs) as bar:
        bar.begin("source network")
        return networks.trained_source(task.source, settings, bar.advance)


def _compare(methods, task, settings, folder, console):
    """Report all rows; return the learners as each of them ended last, too."""
    results, learners, total = [], {}, 0
    for row in methods:
        choices = len(row.method.strengths)
        total += settings.seeds + settings.draws * choices * (choices > 1)
    with progress(console, total) as bar:
        for row in methods:
            bar.begin(f"{row.student}: {row.method.name}")
            result, learner = _measured(row, bar.advance)
            results.append(result)
            learners[row.student, row.method.name] = learner
    show(results, task, settings, console)
    _write(results, settings, folder)
    return results, learners


def _measured(row, advance):
    problem, method = row.problem, row.method
    strength = chosen_strength(row, advance)
    trainings, outcomes = Trainings(problem, warm=True), []
    for seed in problem.settings.reported_seeds:
        learner, outcome = trainings.train(method, strength, seed, problem.test)
        outcomes.append(outcome)
        advance()
    curves = np.stack([outcome.curve for outcome in outcomes])
    # A method without training has one accuracy for all points.
    shape = len(outcomes), problem.settings.points
    curves = np.broadcast_to(curves, shape)
    seconds = float(np.mean([outcome.seconds for outcome in outcomes]))
    size = learner.student.count_params()
    result = Result(row.student, method.name, strength, size, curves, seconds)
    return result, learner


def chosen_strength(row: rows.Row, advance: Callable[[], None]) -> float | None:
    """Return the best of a few strengths, by training labels held out.

    Every method has the same strengths and as many trials, with draws of
    labels that the reported results do not use; the test set is not read.
    """
    # Only the end of each training counts.
    settings = dataclasses.replace(row.problem.settings, points=1)
    trainings = Trainings(dataclasses.replace(row.problem, settings=settings))

    def validation(seed, strength):
        _, outcome = trainings.train(row.method, strength, seed, None)
        advance()
        return outcome.curve[-1]

    return chosen(row.method.strengths, settings.choosing_seeds, validation)


def show(
    results: Sequence[Result], task: rows.Task, settings: Settings, console: Any
) -> None:
    """Print the table, and how it was measured."""
    console.print(_table(results))
    baselines = dict.fromkeys(rows.BASELINES[x.student] for x in results)
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
    table = rich.table.Table("student", "method", box=rich.box.SIMPLE_HEAD)
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
    key = result.student, rows.BASELINES[result.student]
    return next(x for x in results if (x.student, x.method) == key)


def _write(results, settings, folder):
    """Write the table with the accuracy of every seed, and learning curves."""
    header = ["student", "method", "strength", "parameters"]
    header += ["mean", "standard_deviation", "seconds"]
    header += [f"seed_{seed}" for seed in settings.reported_seeds]
    lines, panels = [], {}
    for x in results:
        numbers = (x.mean, x.deviation, x.seconds, *x.accuracies)
        line = [x.student, x.method, x.strength, x.parameters]
        lines.append([*line, *(f"{number:.4f}" for number in numbers)])
        baseline = _baseline(results, x)
        if x is not baseline:
            curves = {baseline.method: baseline.curves, x.method: x.curves}
            panels[f"{x.method}\n({x.student})"] = curves
    write_csv(folder / "table.csv", header, lines)
    steps = settings.steps_per_point * np.arange(1, settings.points + 1)
    figure = plots.learning_curves(panels, steps)
    written(folder / "learning_curves.png", figure.savefig)


def _plans(teacher, students, samples):
    """Plans `(teacher neurons, student neurons)`, by the students' titles."""
    loss = RepresentationTransport()
    known, *own = (
        capture(model, samples, ["features"], False)[1]["features"]
        for model in (teacher, *students.values())
    )
    plans = (keras.ops.convert_to_numpy(loss.plan(known, x)) for x in own)
    return dict(zip(students, plans, strict=True))
