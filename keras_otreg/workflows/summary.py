"""Results of the commands that train, in Python and in the terminal."""

import dataclasses
import pathlib
from typing import Any

import keras
import rich.console
import rich.table

from keras_otreg.workflows import wording
from keras_otreg.workflows.class_names import FILE
from keras_otreg.workflows.project import HISTORY, MODEL, REPORT, TRIALS
from keras_otreg.workflows.report_data import ReportData


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained network, and the files about it.

    Attributes:
        model: The network that is best in validation, a plain Keras model.
        chosen: Its title in `rows`.
        class_names: In the order of its outputs.
        rows: A row for each network: its `title`, its accuracies on the
            `validation` and `test` pictures, its `best` epoch, of how many
            `epochs`, and the `seconds` that it took.
        summary: Which network was chosen, and how the method compares.
        folder: Holds `model.keras`, `classes.json`, `history.csv` and
            `report.html`.
    """

    model: keras.Model
    chosen: str
    class_names: list[str]
    rows: list[dict[str, Any]]
    summary: str
    folder: pathlib.Path

    @property
    def model_path(self) -> pathlib.Path:
        """Path of the network's file."""
        return self.folder / MODEL

    @property
    def report_path(self) -> pathlib.Path:
        """Path of the report."""
        return self.folder / REPORT


def summarised(
    data: ReportData, folder: pathlib.Path, console: rich.console.Console
) -> Result:
    """Print a table, the summary and where the files are.

    Args:
        data: Of the report.
        folder: The output folder.
        console: To print to.

    Returns:
        The `Result`.
    """
    compared = data.compared(), data.method, data.plain
    lines = [wording.choice(data), wording.comparison(*compared)]
    advice = wording.advice(data)
    table = rich.table.Table(
        "", "validation", "test", "best epoch", title="Accuracy"
    )
    for row in data.rows():
        table.add_row(
            f"{row['title']} = {MODEL}" if row["chosen"] else row["title"],
            f"{row['validation']:.3f}",
            f"{row['test']:.3f}",
            f"{row['best']} of {row['epochs']}" if row["epochs"] else "",
            style="bold" if row["chosen"] else None,
        )
    console.print(table)
    for line in [*lines, *([advice] if advice else [])]:
        console.print(line, highlight=False)
    files = (MODEL, FILE, HISTORY, TRIALS, REPORT)
    names = ", ".join(name for name in files if (folder / name).exists())
    console.print(
        f"Written to {folder}: {names}", highlight=False, soft_wrap=True
    )
    return Result(
        model=data.results[data.chosen].model,
        chosen=data.chosen,
        class_names=data.parts["train"].class_names,
        rows=data.rows(),
        summary=" ".join(lines),
        folder=folder,
    )
