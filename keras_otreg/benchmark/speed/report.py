"""What the benchmark of speed found: tables, on screen and on disk."""

import math
import pathlib
from collections.abc import Iterable
from typing import Any

from keras_otreg.benchmark.speed import record
from keras_otreg.benchmark.speed.measure import Claim, Row
from keras_otreg.benchmark.speed.record import Found, Record, claims, rows
from keras_otreg.files import written
from keras_otreg.plots.growth import growth

GROWTH = "growth.png"


class Report:
    """Collects what parts have measured, and writes it into a folder.

    Args:
        folder: Where to.
        order: The names of all parts.
        earlier: What the folder holds, if it is to stay there.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        order: Iterable[str],
        earlier: Record | None = None,
    ):
        self.folder = folder
        self._order = list(order)
        self._found: Found = dict(earlier.found) if earlier else {}
        self._earlier = dict(earlier.commands) if earlier else {}

    @property
    def found(self) -> Found:
        """By part, in the order of the parts."""
        return {x: self._found[x] for x in self._order if x in self._found}

    def put(self, part: str, found: Iterable[Row | Claim]) -> None:
        """Takes all that a part has measured, in place of what was there."""
        self._found[part] = list(found)
        self._earlier.pop(part, None)

    def write(self, quick: bool) -> None:
        """Writes all that there is, under a temporary name first."""
        record.write(self.folder, self.found, quick, self._earlier)
        grown = grown_times(rows(self.found))
        if len(grown) > 1 and "growth" not in self._earlier:
            written(self.folder / GROWTH, growth(grown).savefig)

    def show(self, console: Any) -> None:
        """Prints the tables."""
        import rich.table

        for part, (head, lines) in tables(rows(self.found)).items():
            table = rich.table.Table(*head, title=part)
            for line in lines:
                table.add_row(*line)
            console.print(table)
        table = rich.table.Table("", "target", "measured", title="Targets")
        for claim in claims(self.found):
            style = "bold red" if claim.kept is False else None
            table.add_row(
                claim.verdict, claim.text, claim.measured, style=style
            )
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


def _time(seconds):
    if seconds < 1.0:
        return f"{1000 * seconds:.3g} ms"
    return _number(seconds, "{:.3g} s")


def _number(value, form):
    return "" if math.isnan(value) else form.format(value)
