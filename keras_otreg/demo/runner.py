"""Runs the demos from the data to the files."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import plots
from keras_otreg.data.letters import NAMES
from keras_otreg.demo import report
from keras_otreg.demo.rows import (
    ALONE,
    JOINT,
    NARROW,
    SHOWN,
    TRANSPORT,
    WIDE,
    Row,
    digit_rows,
    joint_rows,
)
from keras_otreg.demo.task import Task
from keras_otreg.experiments import networks
from keras_otreg.experiments.choosing import chosen
from keras_otreg.experiments.problem import Trainings
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.source import train_on
from keras_otreg.experiments.training import Trainee, accuracy
from keras_otreg.files import written

Learners = dict[tuple[str, str], Trainee]


def run(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[report.Result]:
    """Trains all methods, prints one table and writes four files.

    Args:
        task: The data.
        settings: How much to do.
        folder: An existing folder to write to.
        console: A `rich.console.Console`.

    Returns:
        A `Result` for each method.
    """
    teacher = _source_network(task, settings, console)
    console.print(
        f"Source network: trained on {len(task.source.y)} digits; it reads "
        f"{accuracy(teacher, task.source_test):.3f} of other digits of the "
        f"source, and {accuracy(teacher, task.test):.3f} of the target's test "
        "digits before any transfer."
    )
    results, learners = compare(digit_rows(teacher, task, settings), console)
    report.show(results, task, settings, console)
    for sentence in report.conclusions(results):
        console.print(sentence)
    wide, narrow = (learners[x, TRANSPORT].student for x in (WIDE, NARROW))
    written(folder / "fine_tuned.keras", wide.save)
    report.write(results, settings, folder)
    plans = report.plans(teacher, wide, narrow, task.pool, settings)
    figure = plots.plan(plans, aligned=[report.SAME])
    written(folder / "plan.png", figure.savefig)
    for sentence in report.captions(plans):
        console.print(sentence)
    console.print(
        f"Written to {folder}: fine_tuned.keras (the student of "
        f"'{TRANSPORT}', seed {settings.reported_seeds[-1]}, a plain Keras "
        "model), table.csv, learning_curves.png, plan.png"
    )
    return results


def run_joint(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[report.Result]:
    """Likewise for digits learnt beside printed letters.

    Args:
        task: Letters as the source, digits as the target.
        settings: How much to do.
        folder: An existing folder to write to.
        console: A `rich.console.Console`.

    Returns:
        A `Result` for each method.
    """
    classes = len(np.unique(task.source.y))
    network = _source_network(task, settings, console)
    console.print(
        f"Source network: trained on {len(task.source.y)} pictures of "
        f"{classes} letters; it reads "
        f"{accuracy(network, task.source_test):.3f} of other letters."
    )
    results, learners = compare(joint_rows(network, task, settings), console)
    report.show(results, task, settings, console)
    console.print(report.best(JOINT, results))
    shown = learners[JOINT, SHOWN]
    written(folder / "joint.keras", shown.student.save)
    report.write(results, settings, folder, {JOINT: ALONE})
    figure = _class_plan(shown, task.test.x)
    written(folder / "class_plan.png", figure.savefig)
    console.print(
        f"Written to {folder}: joint.keras (the student of '{SHOWN}', seed "
        f"{settings.reported_seeds[-1]}, a plain Keras model), table.csv, "
        "learning_curves.png, class_plan.png (which letters each digit leans "
        "on)"
    )
    return results


def compare(
    rows: Sequence[Row], console: Any
) -> tuple[list[report.Result], Learners]:
    """Results of all rows, and the learners as each of them ended last."""
    results, learners = [], {}
    with progress(console, sum(map(_trainings, rows))) as stages:
        for row in rows:
            stages.begin(f"{row.student}: {row.method}")
            result, learner = _measured(row, stages.advance)
            results.append(result)
            learners[row.student, row.method] = learner
    return results, learners


def chosen_strength(row: Row, advance: Callable[[], None]) -> float | None:
    """The best of a few strengths, by training labels that were held out.

    Every method has the same strengths to choose from and as many trainings
    to do so, with draws of labels that the reported results do not use.

    Args:
        row: What to choose for; its test set is not read.
        advance: Called after each training.

    Returns:
        A strength; `None` for a method without.
    """
    # Only the end of each training counts.
    settings = dataclasses.replace(row.problem.settings, points=1)
    problem = dataclasses.replace(row.problem, settings=settings)
    row = dataclasses.replace(row, problem=problem)
    trainings = Trainings(problem)

    def validation(seed, strength):
        _, outcome = _trained(row, trainings, strength, seed, None)
        advance()
        return outcome.curve[-1]

    return chosen(row.strengths, settings.choosing_seeds, validation)


def _source_network(task, settings, console):
    classes = len(np.unique(task.source.y))
    keras.utils.set_random_seed(settings.seed)
    model = networks.wide(settings, classes)
    with progress(console, settings.source_epochs) as stages:
        stages.begin("source network")
        train_on(task.source, model, settings, stages.advance)
    return model


def _trainings(row):
    settings, choices = row.problem.settings, len(row.strengths)
    return settings.seeds + settings.draws * choices * (choices > 1)


def _measured(row, advance):
    strength = chosen_strength(row, advance)
    trainings, outcomes = Trainings(row.problem, warm=True), []
    for seed in row.problem.settings.reported_seeds:
        learner, outcome = _trained(
            row, trainings, strength, seed, row.problem.test
        )
        outcomes.append(outcome)
        advance()
    result = report.Result(
        row.student,
        row.method,
        strength,
        learner.student.count_params(),
        np.stack([outcome.curve for outcome in outcomes]),
        float(np.mean([outcome.seconds for outcome in outcomes])),
    )
    return result, learner


def _trained(row, trainings, strength, seed, data):
    return trainings.train(
        (strength, seed if row.each_draw else None),
        lambda few: row.learner(strength, few, seed),
        seed,
        data,
    )


def _class_plan(shown, x):
    """Which classes of the source each class of the target leans on."""
    source_view = shown.model.source_model.predict_on_batch(x)
    target_view = shown.student.predict_on_batch(x)
    transport = shown.model.source_task.transport
    plans = keras.ops.convert_to_numpy(transport.plan(source_view, target_view))
    names = [str(digit) for digit in range(plans.shape[-1])]
    return plots.class_plan(plans.mean(axis=0), NAMES, names)
