"""The table of all trainings, kept on disk as it grows."""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence

from keras_otreg import checks
from keras_otreg.experiments.choosing import DECIMALS
from keras_otreg.files import write_csv

# The files of a run: the table, and what it was made on.
CELLS, RUN = "cells.csv", "run.json"
TRIAL, REPORT = "trial", "report"
NUMBERS = ("strength", "validation", "test", "entropy", "moved", "seconds")


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

    def __post_init__(self):
        # As in the file: what is read again leads to the same choice.
        for name in NUMBERS[1:]:
            if value := getattr(self, name):
                object.__setattr__(self, name, round(value, DECIMALS))

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
    """Reads a file that `write_cells` wrote.

    Args:
        path: The file. If it ends within a line, that line is left out.

    Returns:
        The cells.

    Raises:
        ValueError: If it is not such a file, in one line.
    """
    try:
        *lines, _ = path.read_text(encoding="utf-8").split("\n")
        titles, *rows = [row for row in csv.reader(lines) if row] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise checks.entries.no_cells(path, FIELDS, str(error)) from error
    if titles != FIELDS:
        raise checks.entries.no_cells(path, FIELDS, titles)
    cells = []
    for row in rows:
        try:
            cells.append(_cell(row))
        except ValueError as error:
            raise checks.entries.no_cells(path, FIELDS, row) from error
    return cells


def write_cells(cells: Sequence[Cell], path: pathlib.Path) -> None:
    """Writes a row for each cell, all or nothing."""
    write_csv(path, FIELDS, map(dataclasses.astuple, cells))


def _cell(values):
    row = dict(zip(FIELDS, values, strict=True))
    numbers = {k: float(row[k]) if row[k] else None for k in NUMBERS}
    checks.one_of(row["phase"], (TRIAL, REPORT), "phase")
    checks.non_negative(numbers["validation"], "validation")
    if row["phase"] == REPORT:
        checks.non_negative(numbers["test"], "test")
    return Cell(**{**row, **numbers, "seed": int(row["seed"])})
