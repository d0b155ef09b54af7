"""Run of a comparison, which resumes after an interruption."""

import functools
import json
import shlex
import sys

import keras_otreg
from keras_otreg.benchmark import report
from keras_otreg.benchmark.cells import CELLS, REPORT, Cell, Cells
from keras_otreg.benchmark.pictures import digest_of
from keras_otreg.experiments import training
from keras_otreg.experiments.progress import progress
from keras_otreg.experiments.statistics import DECIMALS
from keras_otreg.files import same_run, undamaged, write_text

RUN, PICTURES = "run.json", "digest of the pictures"


def run(comparison, folder, data, console):
    """Measure what was not measured yet, and write all into a folder."""
    _record(comparison, folder, data)
    cells = Cells(folder / CELLS)
    skipped, failed = {}, []
    total = sum(map(comparison.trainings, comparison.tasks))
    with progress(console, total) as bar:
        for task in comparison.tasks:
            reason = task.missing(data)
            if reason:
                skipped[task.name] = reason
                continue

            @functools.cache
            def trainings(task=task):
                return training.Trainings(
                    task.problem(comparison.seed, folder, data)
                )

            try:
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


def _record(comparison, folder, data):
    """Write a record of the run, and refuse results of other pictures."""
    path, known = folder / RUN, {}
    if path.exists():
        way_out = f"Delete '{folder}', or give another --out"
        with undamaged(path, way_out):
            known = dict(json.loads(path.read_text("utf-8")))
    tasks = comparison.tasks if data is not None else ()
    folders = {k: x for task in tasks for k, x in task.pictures(data).items()}
    for name, pictures in folders.items():
        found = {f"{PICTURES} {name}".strip(): digest_of(pictures)}
        if found.keys() <= known.keys():
            same_run(known, found, folder)
        known.update(found)
    known["command"] = shlex.join(sys.argv[1:])
    known["keras-otreg"] = keras_otreg.__version__
    write_text(path, json.dumps(known, indent=2))


def measure(comparison, task, method, cells, trainings, advance):
    """Choose settings on validation data, and report on test data."""
    key = comparison.key(task, method)

    def cell_of(phase, seed, strength, rate):
        identity = task.name, method.name, phase, seed, strength, rate, key
        cell = cells.find(*identity)
        if cell is None:
            problem, train = trainings().problem, trainings().train
            data = problem.validation
            trainee, outcome = train(method, strength, seed, data, rate)
            tests = None, None
            if phase == REPORT:
                both = training.accuracy, training.balanced_accuracy
                tests = [x(trainee.student, problem.test) for x in both]
            numbers = float(outcome.curve[-1]), *tests, outcome.seconds
            # As in the file: what is read again leads to the same choice.
            cell = Cell(*identity, *(x and round(x, DECIMALS) for x in numbers))
            cells.add(cell)
        advance()
        return cell

    comparison.measured(task, method, cell_of)
