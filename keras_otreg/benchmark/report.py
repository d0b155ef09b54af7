"""Tables, a picture and a page of the results of a comparison."""

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_otreg import checks, plots
from keras_otreg.benchmark.cells import CELLS, Cells
from keras_otreg.benchmark.comparison import Choice, Comparison
from keras_otreg.experiments.statistics import Interval, interval
from keras_otreg.files import write_text, written

TABLE, PICTURE = "table.md", "gains.png"
RANKED = (
    "A rank goes from 0, the best method on a task, to 1, the worst, and is "
    "averaged over the tasks where a method can be used: compare those of "
    "methods that share their tasks. Better, level and worse count the tasks "
    "by the interval of the paired difference from the method named there."
)


@dataclasses.dataclass(frozen=True)
class Summary:
    """A method on a task, with the settings that were chosen.

    `validation` is a mean accuracy; `tests` and `balanced` are `(seeds,)`.
    """

    task: str
    method: str
    choice: Choice
    validation: float
    tests: np.ndarray
    balanced: np.ndarray | None = None

    @property
    def test(self) -> float:
        """Mean test accuracy."""
        return float(self.tests.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the test accuracy over the seeds."""
        return float(self.tests.std(ddof=1)) if len(self.tests) > 1 else 0.0


def summaries(comparison: Comparison, cells: Cells) -> list[Summary]:
    """Summarise the finished methods, on tasks where the baseline is one."""
    found = []
    for task in comparison.tasks:
        methods = comparison.methods_of(task)
        each = (_summary(comparison, task, method, cells) for method in methods)
        group = [summary for summary in each if summary]
        if comparison.baseline in [x.method for x in group]:
            found += group
    return found


def _summary(comparison, task, method, cells):
    """The summary of a method on a task; `None` if a cell is missing."""
    key = comparison.key(task, method)

    def find(phase, *values):
        found = cells.find(task.name, method.name, phase, *values, key)
        if found is None:
            raise LookupError
        return found

    try:
        choice, group = comparison.measured(task, method, find)
    except LookupError:
        return None
    balanced = [cell.balanced for cell in group]
    balanced = None if None in balanced else np.array(balanced)
    tests = np.array([cell.test for cell in group])
    validation = float(np.mean([cell.validation for cell in group]))
    return Summary(task.name, method.name, choice, validation, tests, balanced)


def differences(found: Sequence[Summary], name: str) -> dict[Any, Interval]:
    """Intervals of test accuracies minus one method's, by task and method."""
    others = {x.task: x.tests for x in found if x.method == name}
    return {
        (x.task, x.method): interval(x.tests - others[x.task])
        for x in found
        if x.task in others and x.method != name
    }


def mean_ranks(found, value):
    """Mean rank of each method, 0 for the best to 1, and on how many tasks."""
    stats = checks.installed("scipy.stats", "benchmark", "Ranks")
    ranks = collections.defaultdict(list)
    for task in dict.fromkeys(x.task for x in found):
        group = [x for x in found if x.task == task]
        places = stats.rankdata([-getattr(x, value) for x in group])
        for x, place in zip(group, places, strict=True):
            # Tasks differ in how many methods can be used there.
            ranks[x.method].append((place - 1.0) / max(1, len(group) - 1))
    means = {k: (float(np.mean(v)), len(v)) for k, v in ranks.items()}
    return dict(sorted(means.items(), key=lambda item: item[1][0]))


def write(comparison, folder, skipped, console):
    """Write a table and a picture, and print the table and what is skipped."""
    found = summaries(comparison, Cells(folder / CELLS))
    for name, reason in skipped.items():
        console.print(f"Skipped {name}: {reason}", markup=False)
    if not found:
        return
    text = "\n\n".join(as_markdown(comparison, found))
    write_text(folder / TABLE, f"{text}\n")
    written(folder / PICTURE, picture(comparison, found).savefig)
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {folder}: {CELLS}, {TABLE}, {PICTURE}")


def as_markdown(comparison, found, level="##"):
    """Paragraphs: a table for each task, and one of the ranks."""
    others = _others(comparison, found)
    parts, missing = [], []
    for task in comparison.tasks:
        group = [x for x in found if x.task == task.name]
        if group:
            table = _task_table(group, task.ratio != 1.0, others)
            draws = len(comparison.choosing_seeds(task))
            plural = "s" * (draws > 1)
            about = (
                f"{task.about} A trial is over {draws} draw{plural} of labels."
            )
            parts += [f"{level} {task.name}", about, table]
        else:
            missing.append(task.name)
    parts.append(f"{level} All tasks")
    if missing:
        parts.append(f"There are no results yet on {', '.join(missing)}.")
    return [*parts, RANKED, rank_table(comparison, found)]


def _others(comparison, found):
    """Differences from the two methods that others are compared with."""
    names = dict.fromkeys((comparison.baseline, comparison.shown))
    return {name: differences(found, name) for name in names}


def _task_table(group, unequal, others):
    """A row for each method of a task, best on the test data first."""
    has_rates = any(x.choice.rate is not None for x in group)
    rows = []
    for x in sorted(group, key=lambda x: -x.test):
        strength, rate, inside = x.choice
        row = [x.method, "" if strength is None else f"{strength:g}"]
        row += ["" if rate is None else f"{rate:g}"] * has_rates
        if not inside:
            row[1 + has_rates] += "*"
        row += [f"{x.validation:.3f}", f"{x.test:.3f} ± {x.deviation:.3f}"]
        if unequal:
            means = "" if x.balanced is None else f"{x.balanced.mean():.3f}"
            row.append(means)
        row += [gains.get((x.task, x.method), "") for gains in others.values()]
        rows.append(row)
    header = ["method", "strength", *["rate"] * has_rates, "validation", "test"]
    header += ["test, balanced"] * unequal
    return markdown_table(header + [f"test minus {x}" for x in others], rows)


def rank_table(comparison, found):
    """A row for each method: its ranks, and counts of its differences."""
    others, test = _others(comparison, found), mean_ranks(found, "test")
    rows = []
    for name, (rank, tasks) in mean_ranks(found, "validation").items():
        row = [name, tasks, f"{rank:.2f}", f"{test[name][0]:.2f}"]
        for gains in others.values():
            verdicts = [
                x.verdict for (_, method), x in gains.items() if method == name
            ]
            kinds = ("better", "level", "worse")
            counts = " / ".join(str(verdicts.count(x)) for x in kinds)
            row.append(counts if verdicts else "")
        rows.append(row)
    header = ["method", "tasks", "rank, validation", "rank, test"]
    header += [f"better / level / worse than {name}" for name in others]
    return markdown_table(header, rows)


def picture(comparison, found):
    """A figure with a panel for each task: differences from the baseline."""
    baseline = comparison.baseline
    gains = differences(found, baseline).items()
    panels: dict[str, dict[str, Any]] = {}
    for (task, method), x in sorted(gains, key=lambda item: -item[1].mean):
        values = np.array([x.mean, x.low, x.high])
        # Few seeds have no interval: a point without a bar.
        values = np.where(np.isfinite(values), values, x.mean)
        panels.setdefault(task, {})[method] = values
    order = [x.name for x in comparison.tasks if x.name in panels]
    label = f"test accuracy minus {baseline}"
    return plots.gains({x: panels[x] for x in order}, xlabel=label)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown, with a line for each of the rows."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
