"""The table of all trainings, kept on disk as it grows."""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence

from keras_otreg.files import whole

# The files of a run: the table, and what it was made on.
CELLS, RUN = "cells.csv", "run.json"
TRIAL, REPORT = "trial", "report"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        task: Name of the task.
        method: Name of the method.
        phase: `TRIAL`, to choose a strength by, or `REPORT`.
        seed: Seed of the draw of labels and of the new weights.
        strength: Strength of the regulariser; `None` for none.
        key: What else the training depends on, see `Comparison.key`.
        validation: Accuracy on the validation data.
        test: Accuracy on the test data; `None` for a trial.
        entropy: How blurred the plan is at the end, for the method that is
            looked at.
        moved: Share of the teacher's neurons whose main partner is not their
            own copy, where there is one.
        seconds: Time of the training.
    """

    task: str
    method: str
    phase: str
    seed: int
    strength: float | None
    key: str
    validation: float
    test: float | None = None
    entropy: float | None = None
    moved: float | None = None
    seconds: float = 0.0

    @property
    def identity(self) -> tuple:
        """What no two cells of a table have in common."""
        return (
            self.task,
            self.method,
            self.phase,
            self.seed,
            self.strength,
            self.key,
        )


FIELDS = [field.name for field in dataclasses.fields(Cell)]
NUMBERS = ("strength", "validation", "test", "entropy", "moved", "seconds")


class Cells:
    """The cells in a CSV file.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: pathlib.Path):
        self._path = path
        found = read_cells(path) if path.exists() else []
        self._cells = {cell.identity: cell for cell in found}

    def find(self, *identity) -> Cell | None:
        """The cell of an identity, if it is there."""
        return self._cells.get(identity)

    def add(self, cell: Cell) -> None:
        """Adds a cell; the file is at any time a whole table."""
        self._cells[cell.identity] = cell
        write_cells(list(self._cells.values()), self._path)


def read_cells(path: pathlib.Path) -> list[Cell]:
    """Reads a file that `write_cells` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [_cell(row) for row in csv.DictReader(file)]


def write_cells(cells: Sequence[Cell], path: pathlib.Path) -> None:
    """Writes a row for each cell, all or nothing."""
    with (
        whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(
            [_text(cell, name) for name in FIELDS] for cell in cells
        )


def _text(cell, name):
    value = getattr(cell, name)
    return round(value, 5) if name in NUMBERS[1:] and value else value


def _cell(row):
    numbers = {k: float(row[k]) if row[k] else None for k in NUMBERS}
    return Cell(**{**row, **numbers, "seed": int(row["seed"])})
