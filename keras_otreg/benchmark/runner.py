"""Run of a comparison, which resumes after an interruption."""

import functools

from keras_otreg import checks
from keras_otreg.benchmark import problems, report
from keras_otreg.benchmark.cells import CELLS, REPORT, Cell, Cells
from keras_otreg.benchmark.comparison import FolderTask
from keras_otreg.benchmark.record import read_about, write_about
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.statistics import DECIMALS
from keras_otreg.experiments.training import (
    Trainings,
    accuracy,
    balanced_accuracy,
)

PICTURES = "digest of the pictures"
NO_DATA = "its pictures are yours to give: --data FOLDER"


def run(comparison, folder, data, console):
    """Measure what was not measured yet, and write all into a folder."""
    _settle(comparison, folder, data)
    cells = Cells(folder / CELLS)
    skipped, failed = {}, []
    total = sum(map(comparison.trainings, comparison.tasks))
    with progress(console, total) as bar:
        for task in comparison.tasks:
            if isinstance(task, FolderTask) and not _has_pictures(task, data):
                where = f" with {task.folder}/train" if task.folder else ""
                skipped[task.name] = NO_DATA + where
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


def _has_pictures(task, data):
    """Whether the folder of --data has the pictures of a task."""
    parts = [data / task.folder / x for x in problems.PARTS] if data else []
    missing = [str(x) for x in parts if not x.is_dir()]
    if 0 < len(missing) < len(parts):
        raise OSError(f"cannot read --data {data}: no folder {missing[0]}")
    return bool(parts) and not missing


def _settle(comparison, folder, data):
    """Write a record of the run, and refuse results of other pictures."""
    path = folder / report.RUN
    known = read_about(path) if path.exists() else {}
    names = [x.folder for x in comparison.tasks if isinstance(x, FolderTask)]
    for name in dict.fromkeys(names) if data is not None else ():
        found = {f"{PICTURES} {name}".strip(): problems.digest_of(data / name)}
        if found.keys() <= known.keys():
            checks.same_run(known, found, folder)
        known.update(found)
    write_about(path, **known)


def _trainings(comparison, task, folder, data):
    """Make the `Trainings` on a task when they are first asked for."""
    seed = comparison.seed

    @functools.cache
    def trainings():
        if isinstance(task, FolderTask):
            pictures = data / task.folder
            return Trainings(problems.folder_problem(task, seed, pictures))
        return Trainings(problems.small_problem(task, seed, folder))

    return trainings


def measure(comparison, task, method, cells, trainings, advance):
    """Choose settings on validation data, and report on test data."""
    key = comparison.key(task, method)

    def cell_of(phase, seed, strength, rate):
        identity = task.name, method.name, phase, seed, strength, rate, key
        cell = cells.find(*identity)
        if cell is None:
            problem = trainings().problem
            trainee, outcome = trainings().train(
                method, strength, seed, problem.validation, rate
            )
            tests = None, None
            if phase == REPORT:
                both = accuracy, balanced_accuracy
                tests = [x(trainee.student, problem.test) for x in both]
            numbers = float(outcome.curve[-1]), *tests, outcome.seconds
            # As in the file: what is read again leads to the same choice.
            cell = Cell(*identity, *(x and round(x, DECIMALS) for x in numbers))
            cells.add(cell)
        advance()
        return cell

    comparison.measured(task, method, cell_of)
