"""Writes what a comparison showed: a table and a picture."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg import plots
from keras_otreg.benchmark.accuracy.cells import CELLS, Cells
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.findings import findings
from keras_otreg.benchmark.accuracy.summary import Summary, summaries
from keras_otreg.benchmark.accuracy.tables import rank_table, task_table
from keras_otreg.files import whole, written

TABLE, PICTURE = "table.md", "gains.png"
RANKED = (
    "A rank goes from 0, the best method on a task, to 1, the worst, and is "
    "averaged over the tasks where a method can be used: compare those of "
    "methods that share their tasks. Better, level and worse count the tasks "
    "by the interval of the paired difference."
)


def write(
    comparison: Comparison,
    folder: pathlib.Path,
    skipped: Mapping[str, str],
    console: Any,
) -> None:
    """Writes a table and a picture, and prints the table.

    Args:
        comparison: What was measured.
        folder: Where the cells are, and where to write.
        skipped: For each task that could not be run, why.
        console: A `rich.console.Console`.
    """
    found = summaries(comparison, Cells(folder / CELLS))
    for name, reason in skipped.items():
        console.print(f"Skipped {name}: {reason}", markup=False)
    if not found:
        return
    text = "\n\n".join(as_markdown(comparison, found))
    with whole(folder / TABLE) as unfinished:
        unfinished.write_text(f"{text}\n", encoding="utf-8")
    written(folder / PICTURE, picture(comparison, found).savefig)
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {folder}: {CELLS}, {TABLE}, {PICTURE}")


def as_markdown(
    comparison: Comparison, found: Sequence[Summary], level: str = "##"
) -> list[str]:
    """Paragraphs: a table for each task, the ranks, and what they show."""
    protocol = comparison.protocol
    parts, missing = [], []
    for task in comparison.tasks:
        group = [x for x in found if x.task == task.name]
        if group:
            parts.append(f"{level} {task.name}")
            parts.append(task.about)
            parts.append(task_table(group, protocol.baseline))
        else:
            missing.append(task.name)
    parts.append(f"{level} All tasks")
    if missing:
        parts.append(f"There are no results yet on {', '.join(missing)}.")
    parts.append(RANKED)
    parts.append(rank_table(found, protocol.shown))
    parts.append(f"{level} What {protocol.shown} wins, and what not")
    parts.append("\n".join(f"- {x}" for x in findings(comparison, found)))
    return parts


def picture(comparison: Comparison, found: Sequence[Summary]) -> Any:
    """A panel for each task: differences from the baseline."""
    panels: dict[str, dict[str, Any]] = {}
    for x in sorted(found, key=lambda x: -x.gain.mean):
        if x.method != comparison.protocol.baseline:
            values = np.array([x.gain.mean, x.gain.low, x.gain.high])
            # Few seeds have no interval: a point without a bar.
            values = np.where(np.isfinite(values), values, x.gain.mean)
            panels.setdefault(x.task, {})[x.method] = values
    order = [x.name for x in comparison.tasks if x.name in panels]
    label = f"test accuracy minus {comparison.protocol.baseline}"
    return plots.gains({x: panels[x] for x in order}, xlabel=label)
