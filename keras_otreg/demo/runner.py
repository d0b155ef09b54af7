"""The demos, from the data to the files."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_otreg import plots
from keras_otreg.data.builders import LETTERS
from keras_otreg.demo import report, rows
from keras_otreg.demo.task import Task
from keras_otreg.experiments.networks import trained_source
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.statistics import chosen
from keras_otreg.experiments.training import Trainings, accuracy
from keras_otreg.files import written


def run(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[report.Result]:
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
    plans = report.plans(teacher, wide, narrow, task.pool, settings)
    figure = plots.plan(plans, aligned=[report.SAME])
    written(folder / "plan.png", figure.savefig)
    console.print(
        f"Written to {folder}: fine_tuned.keras (the student of "
        f"'{rows.TRANSPORT}', seed {settings.reported_seeds[-1]}, a plain "
        "Keras model), table.csv, learning_curves.png (mean test accuracy over "
        "the steps, with a band of one standard deviation), plan.png (which "
        "student neurons the teacher's neurons are transported to)"
    )
    return results


def run_joint(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[report.Result]:
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


def _compare(methods, task, settings, folder, console):
    """Report all rows; return the learners as each of them ended last, too."""
    results, learners = [], {}
    with progress(console, sum(map(_trainings, methods))) as bar:
        for row in methods:
            bar.begin(f"{row.student}: {row.method.name}")
            result, learner = _measured(row, bar.advance)
            results.append(result)
            learners[row.student, row.method.name] = learner
    report.show(results, task, settings, console)
    report.write(results, settings, folder)
    return results, learners


def _source_network(task, settings, console):
    with progress(console, settings.source_epochs) as bar:
        bar.begin("source network")
        return trained_source(task.source, settings, bar.advance)


def _trainings(row):
    settings, choices = row.problem.settings, len(row.method.strengths)
    return settings.seeds + settings.draws * choices * (choices > 1)


def _measured(row, advance):
    strength = chosen_strength(row, advance)
    trainings, outcomes = Trainings(row.problem, warm=True), []
    for seed in row.problem.settings.reported_seeds:
        learner, outcome = trainings.train(
            row.method, strength, seed, row.problem.test
        )
        outcomes.append(outcome)
        advance()
    curves = np.stack([outcome.curve for outcome in outcomes])
    # A method without training has one accuracy for all points.
    shape = len(outcomes), row.problem.settings.points
    result = report.Result(
        row.student,
        row.method.name,
        strength,
        learner.student.count_params(),
        np.broadcast_to(curves, shape),
        float(np.mean([outcome.seconds for outcome in outcomes])),
    )
    return result, learner
