"""Run of a comparison, which resumes after an interruption."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.accuracy import report
from keras_otreg.benchmark.accuracy.cells import (
    CELLS,
    REPORT,
    TRIAL,
    Cell,
    Cells,
)
from keras_otreg.benchmark.accuracy.comparison import (
    Comparison,
    Entry,
    FolderTask,
)
from keras_otreg.benchmark.accuracy.problems import (
    digest_of,
    folder_problem,
    small_problem,
)
from keras_otreg.benchmark.record import read_about, write_about
from keras_otreg.experiments.methods import Method
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.statistics import chosen
from keras_otreg.experiments.training import Trainings, accuracy

PICTURES = "digest of the pictures"
NO_DATA = "its pictures are yours to give: --data FOLDER"


def run(
    comparison: Comparison,
    folder: pathlib.Path,
    data: pathlib.Path | None,
    console: Any,
) -> None:
    """Measure what was not measured yet, and write all results into a folder.

    Raises:
        ValueError: If the results so far are those of other pictures; or if a
            task cannot be done, once the others are.
    """
    _settle(folder, data)
    cells = Cells(folder / CELLS)
    skipped, failed = {}, []
    total = sum(map(comparison.trainings, comparison.tasks))
    with progress(console, total) as bar:
        for task in comparison.tasks:
            if isinstance(task, FolderTask) and data is None:
                skipped[task.name] = NO_DATA
                continue
            try:
                trainings = _trainings(comparison, task, folder, data)
                for method in comparison.methods_of(task):
                    bar.begin(f"{task.name}: {method.name}")
                    measure(
                        comparison, task, method, cells, trainings, bar.advance
                    )
            except ImportError as error:
                skipped[task.name] = str(error)
            except ValueError as error:
                failed.append(error)
                skipped[task.name] = str(error)
    report.write(comparison, folder, skipped, console)
    if failed:
        raise failed[0]


def _settle(folder, data):
    """Write a record of the run, and refuse results of other pictures."""
    path = folder / report.RUN
    known = read_about(path) if path.exists() else {}
    if data is not None:
        found = {PICTURES: digest_of(data)}
        if PICTURES in known:
            checks.same_run(known, found, folder)
        known.update(found)
    write_about(path, **known)


def _trainings(comparison, task, folder, data):
    """Make the `Trainings` on a task when they are first asked for."""
    seed = comparison.protocol.seed

    @functools.cache
    def trainings():
        if isinstance(task, FolderTask):
            return Trainings(folder_problem(task, seed, data))
        return Trainings(small_problem(task, seed, folder))

    return trainings


def measure(
    comparison: Comparison,
    task: Entry,
    method: Method,
    cells: Cells,
    trainings: Callable[[], Trainings],
    advance: Callable[[], None],
) -> None:
    """Choose a strength on validation data, and report on test data.

    Cells that are there are not measured again: `trainings` prepares the task
    when it is first called. `advance` is called for each cell.
    """
    key = comparison.key(task, method)

    def measured(phase, seed, strength):
        identity = task.name, method.name, phase, seed, strength, key
        cell = cells.find(*identity)
        if cell is None:
            problem = trainings().problem
            trainee, outcome = trainings().train(
                method, strength, seed, problem.validation
            )
            test = None
            if phase == REPORT:
                test = accuracy(trainee.student, problem.test)
            validation = float(outcome.curve[-1])
            cell = Cell(*identity, validation, test, outcome.seconds)
            cells.add(cell)
        advance()
        return cell

    strength = chosen(
        method.strengths,
        comparison.choosing_seeds(task),
        lambda *each: measured(TRIAL, *each).validation,
    )
    for seed in comparison.reported_seeds(task):
        measured(REPORT, seed, strength)
