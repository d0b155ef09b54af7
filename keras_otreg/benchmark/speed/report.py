"""What the benchmark of speed found: tables, on screen and on disk."""

import math
import pathlib
from typing import Any

from keras_otreg.benchmark.on_disk import (
    read_about,
    read_csv,
    some_results,
    write_about,
)
from keras_otreg.benchmark.speed.measure import Claim, Row
from keras_otreg.files import write_csv, written
from keras_otreg.plots.growth import growth

ROWS, CLAIMS, RUN, GROWTH = (
    "speed.csv",
    "claims.csv",
    "run.json",
    "growth.png",
)


class Report:
    """Collects rows and claims, and writes them into a folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.rows: list[Row] = []
        self.claims: list[Claim] = []

    def add(self, found: Row | Claim) -> None:
        """Takes what a part has measured."""
        kept = self.rows if isinstance(found, Row) else self.claims
        kept.append(found)

    def write(self, quick: bool) -> None:
        """Writes all that there is, under a temporary name first."""
        write_csv(self.folder / ROWS, Row._fields, self.rows)
        write_csv(self.folder / CLAIMS, Claim._fields, self.claims)
        write_about(self.folder / RUN, quick=quick)
        grown = grown_times(self.rows)
        if len(grown) > 1:
            written(self.folder / GROWTH, growth(grown).savefig)

    def show(self, console: Any) -> None:
        """Prints the tables."""
        import rich.table

        for part, (head, lines) in tables(self.rows).items():
            table = rich.table.Table(*head, title=part)
            for line in lines:
                table.add_row(*line)
            console.print(table)
        table = rich.table.Table("", "promise", "measured", title="Promises")
        for claim in self.claims:
            mark = "kept" if claim.kept else "not kept"
            style = None if claim.kept else "bold red"
            table.add_row(mark, claim.text, claim.measured, style=style)
        console.print(table)
        console.print(f"Tables and pictures are in {self.folder}.")


HEAD = ("on", "by", "time", "iterations", "error", "gap", "")


def tables(rows: list[Row]) -> dict[str, tuple[list[str], list[list[str]]]]:
    """For each part, the titles of its columns, and its lines in words."""
    found = {}
    for part in dict.fromkeys(row.part for row in rows):
        lines = [_cells(row) for row in rows if row.part == part]
        used = [k for k in range(len(HEAD)) if any(line[k] for line in lines)]
        found[part] = (
            [HEAD[k] for k in used],
            [[line[k] for k in used] for line in lines],
        )
    return found


def _cells(row):
    return [
        row.case,
        row.method,
        _time(row.seconds),
        _number(row.iterations, "{:g}"),
        _number(row.marginal_error, "{:.1e}"),
        _number(abs(row.value_gap), "{:.1e}"),
        row.note,
    ]


def grown_times(rows: list[Row]) -> dict[int, float]:
    """Seconds by size, where growth was measured."""
    return {
        int(row.case): row.seconds
        for row in rows
        if row.part == "growth with size"
    }


def read(folder: pathlib.Path) -> tuple[list[Row], list[Claim], dict[str, Any]]:
    """Reads what a `Report` wrote.

    Raises:
        OSError: If there is nothing in the folder.
    """
    some_results(folder, "speed", ROWS, CLAIMS, RUN)
    rows = [
        Row(*x[:3], *(float(number) for number in x[3:7]), x[7])
        for x in read_csv(folder / ROWS)
    ]
    claims = [
        Claim(text, measured, kept == "True")
        for text, measured, kept in read_csv(folder / CLAIMS)
    ]
    return rows, claims, read_about(folder / RUN)


def _time(seconds):
    if seconds < 1.0:
        return f"{1000 * seconds:.3g} ms"
    return _number(seconds, "{:.3g} s")


def _number(value, form):
    return "" if math.isnan(value) else form.format(value)
