"""The results as tables in Markdown."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_otreg.benchmark.accuracy.summary import (
    Summary,
    mean_ranks,
)
from keras_otreg.benchmark.section import markdown_table
from keras_otreg.experiments.intervals import Interval, interval

TASK = (
    "method",
    "strength",
    "validation",
    "test",
    "test minus {baseline}",
)
RANKS = (
    "method",
    "tasks",
    "rank, validation",
    "rank, test",
    "{shown} is better",
    "level",
    "worse",
)


def task_table(found: Sequence[Summary], baseline: str) -> str:
    """One row for each method of a task, best on the test data first."""
    rows = [
        (
            x.method,
            "" if x.strength is None else f"{x.strength:g}",
            f"{x.validation:.3f}",
            f"{x.test:.3f} ± {x.deviation:.3f}",
            "" if x.method == baseline else in_words(x.gain),
        )
        for x in sorted(found, key=lambda x: -x.test)
    ]
    header = [name.format(baseline=baseline) for name in TASK]
    return markdown_table(header, rows)


def rank_table(found: Sequence[Summary], shown: str) -> str:
    """One row for each method: its ranks, and how it does against one."""
    validation = mean_ranks(found, "validation")
    test = mean_ranks(found, "test")
    rows = []
    for name, (rank, tasks) in validation.items():
        verdicts = [x.verdict for x in duels(found, shown, name)]
        counts = [verdicts.count(x) for x in ("better", "level", "worse")]
        row = (name, tasks, f"{rank:.2f}", f"{test[name][0]:.2f}")
        rows.append((*row, *([""] * 3 if name == shown else counts)))
    header = [name.format(shown=shown) for name in RANKS]
    return markdown_table(header, rows)


def duels(found: Sequence[Summary], one: str, other: str) -> Iterator[Interval]:
    """Test accuracy of one method minus another's, for each common task."""
    tests = {(x.task, x.method): x.tests for x in found}
    for task in dict.fromkeys(x.task for x in found):
        if (task, one) in tests and (task, other) in tests:
            yield interval(tests[task, one] - tests[task, other])


def in_words(gain: Interval) -> str:
    """A mean with its interval, in points of accuracy."""
    if not np.isfinite(gain.low):
        return f"{gain.mean:+.3f}"
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
