"""Runs a comparison, from where it was left to the tables."""

import dataclasses
import functools
import pathlib
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.accuracy import report
from keras_otreg.benchmark.accuracy.cells import CELLS, RUN, Cells
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.entries import Entry, FolderTask
from keras_otreg.benchmark.accuracy.measuring import Measuring
from keras_otreg.benchmark.accuracy.pictures import digest_of, folder_problem
from keras_otreg.benchmark.accuracy.small import small_problem
from keras_otreg.benchmark.record import read_about, write_about
from keras_otreg.experiments.problem import Problem
from keras_otreg.experiments.progress import Stages, progress

PICTURES = "digest of the pictures"
NO_DATA = "its pictures are yours to give: --data FOLDER"


def run(
    comparison: Comparison,
    folder: pathlib.Path,
    data: pathlib.Path | None,
    console: Any,
) -> None:
    """Measures what was not measured yet, and writes all results.

    Args:
        comparison: What to measure.
        folder: An existing folder, with the results so far if there are any.
        data: Pictures for the tasks that need them, with the folders `train`,
            `validation` and `test`.
        console: A `rich.console.Console`.

    Raises:
        ValueError: If the results so far are those of other pictures; or if a
            task cannot be done, once the others are.
    """
    _settle(folder, data)
    running = _Run(comparison, folder, data, Cells(folder / CELLS))
    total = sum(map(running.trainings, comparison.tasks))
    skipped, failed = {}, []
    with progress(console, total) as stages:
        for task in comparison.tasks:
            try:
                reason = running.skipped(task, stages)
            except ValueError as error:
                failed.append(error)
                reason = str(error)
            if reason:
                skipped[task.name] = reason
    report.write(comparison, folder, skipped, console)
    if failed:
        raise failed[0]


def _settle(folder, data):
    """Writes down what the results are of, beside what is known of them."""
    path = folder / RUN
    known = read_about(path) if path.exists() else {}
    if data is not None:
        found = {PICTURES: digest_of(data)}
        if PICTURES in known:
            checks.same_run(known, found, folder)
        known.update(found)
    write_about(path, **known)


@dataclasses.dataclass(frozen=True)
class _Run:
    comparison: Comparison
    folder: pathlib.Path
    data: pathlib.Path | None
    cells: Cells

    def trainings(self, task):
        """How many cells a task has."""
        draws = len(self.comparison.choosing_seeds(task))
        seeds = len(self.comparison.reported_seeds(task))
        return sum(
            seeds + draws * len(method.strengths) * method.has_choice
            for method in self.comparison.methods_of(task)
        )

    def skipped(self, task: Entry, stages: Stages) -> str | None:
        """Measures a task, or says why it cannot be."""
        if isinstance(task, FolderTask) and self.data is None:
            return NO_DATA
        problem = functools.cache(lambda: self._problem(task))
        measuring = Measuring(
            self.comparison, task, self.cells, problem, stages.advance
        )
        try:
            for method in self.comparison.methods_of(task):
                stages.begin(f"{task.name}: {method.name}")
                measuring.measure(method)
        except ImportError as error:
            return str(error)
        return None

    def _problem(self, task) -> Problem:
        seed = self.comparison.protocol.seed
        if isinstance(task, FolderTask):
            return folder_problem(task, seed, self.data)
        return small_problem(task, seed, self.folder)
