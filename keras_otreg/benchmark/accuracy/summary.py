"""What the cells of a comparison say about each method on each task."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_otreg import checks
from keras_otreg.benchmark.accuracy.cells import REPORT, TRIAL, Cells
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.experiments.choosing import chosen
from keras_otreg.experiments.intervals import Interval, interval


@dataclasses.dataclass(frozen=True)
class Summary:
    """A method on a task.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        strength: The one that was chosen; `None` for a method without.
        validation: Mean validation accuracy of the reported trainings.
        tests: The test accuracies, of shape `(seeds,)`.
        gain: Test accuracy minus that of the baseline with the same seed.
        entropy: Mean entropy of the plan at the end, if it was looked at.
        moved: Mean share of moved neurons, if it was looked at.
    """

    task: str
    method: str
    strength: float | None
    validation: float
    tests: np.ndarray
    gain: Interval
    entropy: float | None
    moved: float | None

    @property
    def test(self) -> float:
        """Mean test accuracy."""
        return float(self.tests.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the test accuracy over the seeds."""
        return float(self.tests.std(ddof=1)) if len(self.tests) > 1 else 0.0


def summaries(comparison: Comparison, cells: Cells) -> list[Summary]:
    """Sums up what is finished, in the order of the comparison.

    A method counts once its strength was chosen and all seeds were reported.
    """
    found = []
    for task in comparison.tasks:
        groups = {
            method.name: group
            for method in comparison.methods_of(task)
            if (group := _reported(comparison, task, method, cells))
        }
        baseline = groups.get(comparison.protocol.baseline)
        if baseline:
            found += [_summary(group, baseline) for group in groups.values()]
    return found


def _reported(comparison, task, method, cells):
    """The reported cells of a method; none if any is missing."""
    key = comparison.key(task, method)

    def find(phase, seed, strength):
        return cells.find(task.name, method.name, phase, seed, strength, key)

    def validation(seed, strength):
        return find(TRIAL, seed, strength).validation

    if not _is_tried(comparison, task, method, find):
        return []
    trials = comparison.choosing_seeds(task)
    strength = chosen(method.strengths, trials, validation)
    seeds = comparison.reported_seeds(task)
    group = [find(REPORT, seed, strength) for seed in seeds]
    return [] if None in group else group


def _is_tried(comparison, task, method, find):
    """Whether all strengths have been tried with all draws."""
    return not method.has_choice or all(
        find(TRIAL, seed, strength)
        for seed in comparison.choosing_seeds(task)
        for strength in method.strengths
    )


def _summary(group, baseline):
    def mean(name):
        values = [getattr(cell, name) for cell in group]
        return None if None in values else float(np.mean(values))

    tests = np.array([cell.test for cell in group])
    return Summary(
        task=group[0].task,
        method=group[0].method,
        strength=group[0].strength,
        validation=mean("validation"),
        tests=tests,
        gain=interval(tests - np.array([cell.test for cell in baseline])),
        entropy=mean("entropy"),
        moved=mean("moved"),
    )


def mean_ranks(
    found: Sequence[Summary], value: str
) -> dict[str, tuple[float, int]]:
    """The mean rank of each method, and on how many tasks it was ranked.

    Args:
        found: Summaries of several tasks.
        value: By which to rank: `"validation"`, or `"test"`.

    Returns:
        For each method its mean rank, as of `ranks`, and the number of tasks;
        best first.
    """
    means = {
        name: (float(np.mean([*places.values()])), len(places))
        for name, places in ranks(found, value).items()
    }
    return dict(sorted(means.items(), key=lambda item: item[1][0]))


def ranks(found: Sequence[Summary], value: str) -> dict[str, dict[str, float]]:
    """The rank of each method on each of its tasks.

    Args:
        found: Summaries of several tasks.
        value: By which to rank: `"validation"`, or `"test"`.

    Returns:
        For each method its rank by the name of the task, from 0 for the best
        of all to 1 for the worst of all.
    """
    stats = checks.installed("scipy.stats", "benchmark", "Ranks")
    shares: dict[str, dict[str, float]] = {}
    for task in dict.fromkeys(x.task for x in found):
        group = [x for x in found if x.task == task]
        places = stats.rankdata([-getattr(x, value) for x in group])
        for x, place in zip(group, places, strict=True):
            # Tasks differ in how many methods can be used there.
            share = (place - 1.0) / max(1, len(group) - 1)
            shares.setdefault(x.method, {})[task] = float(share)
    return shares
