"""The table of all trainings, kept on disk as it grows."""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence

from keras_otreg import checks
from keras_otreg.files import write_csv

CELLS = "cells.csv"
TRIAL, REPORT = "trial", "report"
NUMBERS = ("strength", "rate", "validation", "test", "balanced", "seconds")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training: a `TRIAL` to choose settings by, or one to `REPORT`.

    `key` is `Comparison.key`; only a report has an accuracy on test data, and a
    `balanced` one, the mean over classes.
    """

    task: str
    method: str
    phase: str
    seed: int
    strength: float | None
    rate: float | None
    key: str
    validation: float
    test: float | None = None
    balanced: float | None = None
    seconds: float = 0.0

    @property
    def identity(self) -> tuple:
        """Key of the cell, unique in a table."""
        return dataclasses.astuple(self)[:7]


FIELDS = [field.name for field in dataclasses.fields(Cell)]


class Cells:
    """The cells in a CSV file, which need not exist."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        found = read_cells(path) if path.exists() else []
        self._cells = {cell.identity: cell for cell in found}

    def find(self, *identity) -> Cell | None:
        """The cell of an identity, if it is there."""
        return self._cells.get(identity)

    def add(self, cell: Cell) -> None:
        """Add a cell; the file is at any time a whole table."""
        self._cells[cell.identity] = cell
        write_cells(list(self._cells.values()), self._path)


def read_cells(path: pathlib.Path) -> list[Cell]:
    """Read a file of `write_cells`; columns of other names are ignored."""
    cells, row = [], None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            row = reader.fieldnames or []
            if not set(FIELDS) <= set(row):
                raise csv.Error
            for row in reader:
                cells.append(_cell(row))
    except (csv.Error, ValueError) as error:
        raise checks.invalid(
            f"'{path}' to be a table of trainings with the titles "
            f"{','.join(FIELDS)}",
            f"{row!r:.200}",
            "It is left as it is: move it away or mend it, or give another "
            "--out",
        ) from error
    return cells


def write_cells(cells: Sequence[Cell], path: pathlib.Path) -> None:
    """Write a row for each cell, all or nothing."""
    write_csv(path, FIELDS, map(dataclasses.astuple, cells))


def _cell(row):
    if None in row or None in row.values():
        raise csv.Error
    numbers = {k: float(row[k]) if row[k] else None for k in NUMBERS}
    phase = checks.one_of(row["phase"], (TRIAL, REPORT), "phase")
    for name in ("validation", "test") if phase == REPORT else ("validation",):
        checks.non_negative(numbers[name], name)
    row = {name: row[name] for name in FIELDS}
    return Cell(**{**row, **numbers, "seed": int(row["seed"])})
