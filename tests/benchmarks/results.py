"""Rows and targets of a benchmark: on disk, on screen, in a page."""

import csv
import json
import pathlib
import shlex
import statistics
import sys
import time
from typing import NamedTuple

from record import machine, origin, write_section

from keras_otreg.benchmark.report import markdown_table
from keras_otreg.files import whole

# Threads of the last work keep the cores busy for a while, and those of the
# next are asleep. Works longer than `LONG` wake their own.
PAUSE, LONG = 0.05, 0.2
FILE = "results.json"


class Claim(NamedTuple):
    """A target, what was measured, and whether it was met, if known."""

    text: str
    measured: str
    kept: bool | None

    @property
    def verdict(self):
        return {True: "met", False: "**not met**", None: "**open**"}[self.kept]


class Row(NamedTuple):
    """A line of the table of a title, with its values by the column."""

    title: str
    values: dict


def row(title, **values):
    return Row(title, values)


def seconds(value):
    return f"{1000 * value:.3g} ms" if value < 1.0 else f"{value:.3g} s"


# How the values of a column are written; `str` if nothing else is said.
COLUMNS = {
    "time": seconds,
    "iterations": "{:g}".format,
    "error": "{:.1e}".format,
    "gap": lambda value: f"{abs(value):.1e}",
    "numbers to send": "{:,}".format,
    "minute": "{:.1f}".format,
    "resident MB": "{:.0f}".format,
    "efficiency": "{:.0%}".format,
    **dict.fromkeys(
        ("compute", "gradients", "C", "step", "gathered", "MMD"), seconds
    ),
}


def interleaved(works, repeats, patience=2.0):
    """Median seconds of some works, run in turn after one run each.

    A machine that is busy for a while is so for all of them. A work that has
    taken longer than `patience` seconds in all is not timed again.
    """
    times = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(repeats):
        for name, work in works.items():
            if sum(times[name]) <= patience:
                time.sleep(PAUSE)
                if max(times[name], default=0.0) < LONG:
                    work()
                start = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


# What stands after all else, whichever line has it first.
ORDER = {name: k for k, name in enumerate(("", "gap", "error", "iterations"))}
ORDER = {name: len(ORDER) - k for name, k in ORDER.items()}


class Results:
    """What the parts of a benchmark have found, in a file of a folder."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / FILE
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.parts = {
            name: {
                **part,
                "rows": [Row(*x) for x in part["rows"]],
                "claims": [Claim(*x) for x in part["claims"]],
            }
            for name, part in known.items()
        }

    def put(self, name, found):
        """Measures a part in place of what is known of it, and saves all."""
        found = list(found)
        self.parts[name] = {
            "command": shlex.join(sys.argv[1:]),
            "machine": machine(),
            "rows": [x for x in found if isinstance(x, Row)],
            "claims": [x for x in found if isinstance(x, Claim)],
        }
        with whole(self.path) as unfinished:
            unfinished.write_text(json.dumps(self.parts, indent=1))

    def rows(self, *names):
        """The rows of some parts, of all if none is named."""
        return [
            x for name in names or self.parts for x in self.parts[name]["rows"]
        ]

    @property
    def claims(self):
        return [x for part in self.parts.values() for x in part["claims"]]

    def show(self, console):
        import rich.table

        shown = {**tables(self.rows()), "targets": targets(self.claims)}
        for title, (head, lines) in shown.items():
            table = rich.table.Table(*head, title=title)
            for line in lines:
                table.add_row(*line)
            console.print(table)
        console.print(f"Written to {self.path}.")

    def origins(self):
        """Paragraphs with the commands and what they ran on."""
        made = {}
        for name, part in self.parts.items():
            key = (part["command"], *part["machine"].items())
            made.setdefault(key, []).append(name)
        for (command, *on), names in made.items():
            told, versions = origin({"command": command, **dict(on)})
            yield told
            of = f"Of {', '.join(names)}, on" if len(made) > 1 else "On"
            yield f"{of}: {versions}."

    def write_page(self, page, name, about):
        """Replaces the section of a page of a name: words, then the tables."""
        if not self.parts:
            raise OSError(f"no results in {self.path}")
        parts = [*about, *self.origins()]
        if self.claims:
            parts += ["### Targets", markdown_table(*targets(self.claims))]
        for title, table in tables(self.rows()).items():
            parts.append(f"### {title[0].upper()}{title[1:]}")
            parts.append(markdown_table(*table))
        write_section(page, name, parts)


def targets(claims):
    lines = [(x.verdict, x.text, x.measured) for x in claims]
    return ("", "target", "measured"), lines


def tables(rows):
    """For each title the names of its columns, and its lines in words."""
    rows, found = list(rows), {}
    for title in dict.fromkeys(x.title for x in rows):
        lines = [x.values for x in rows if x.title == title]
        head = list(dict.fromkeys(name for line in lines for name in line))
        head.sort(key=lambda name: ORDER.get(name, 0))
        found[title] = (
            head,
            [
                [
                    COLUMNS.get(name, str)(line[name]) if name in line else ""
                    for name in head
                ]
                for line in lines
            ],
        )
    return found


class Cells:
    """Numbers of trainings, kept in a file as they are found."""

    NAMES = ("task", "method", "seed", "validation", "test", "loss")

    def __init__(self, path):
        self._path = path
        self.found = {}
        if not path.exists():
            self._append(self.NAMES)
        with path.open(newline="", encoding="utf-8") as file:
            for one in csv.DictReader(file):
                key = one["task"], one["method"], int(one["seed"])
                self.found[key] = [float(one[x]) for x in self.NAMES[3:]]

    def get(self, key, measure):
        """What is known of a cell, or is measured now."""
        if key not in self.found:
            self.found[key] = measure()
            self._append([*key, *(f"{x:.5f}" for x in self.found[key])])
        return self.found[key]

    def _append(self, line):
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(line)
