"""What the benchmark of speed left in a folder, part by part."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_otreg import checks
from keras_otreg.benchmark.on_disk import (
    read_about,
    read_csv,
    some_results,
    write_about,
)
from keras_otreg.benchmark.speed.measure import Claim, Row
from keras_otreg.files import write_csv

ROWS, CLAIMS, RUN = FILES = "speed.csv", "claims.csv", "run.json"
# The first column: the part by its name for `--only`.
ONLY = "only"
EARLIER = "measured earlier"
# An open claim is `None`, which a table writes as nothing.
KEPT = {"True": True, "False": False, "": None}

Found = dict[str, list[Row | Claim]]


class Record(NamedTuple):
    """Results on disk.

    Attributes:
        found: Rows and claims by the part that measured them.
        commands: For each part, the command that measured it.
        about: What `write_about` wrote, and what `write` added.
    """

    found: Found
    commands: dict[str, str]
    about: dict[str, Any]


def rows(found: Found) -> list[Row]:
    """Of all parts."""
    return [x for part in found.values() for x in part if isinstance(x, Row)]


def claims(found: Found) -> list[Claim]:
    """Of all parts."""
    return [x for part in found.values() for x in part if isinstance(x, Claim)]


def write(
    folder: pathlib.Path,
    found: Found,
    quick: bool,
    earlier: Mapping[str, str],
) -> None:
    """Writes rows and claims of some parts.

    Args:
        folder: Of `--out`.
        found: By part.
        quick: Whether problems were small and repeats few.
        earlier: The commands of those parts that this command did not measure.
    """
    for name, kind in ((ROWS, Row), (CLAIMS, Claim)):
        lines = [
            (part, *x)
            for part, all_ in found.items()
            for x in all_
            if isinstance(x, kind)
        ]
        write_csv(folder / name, (ONLY, *kind._fields), lines)
    more = {EARLIER: dict(earlier)} if earlier else {}
    write_about(folder / RUN, quick=quick, **more)


def is_there(folder: pathlib.Path) -> bool:
    """Whether a folder holds results, or some of their files."""
    return any((folder / name).exists() for name in FILES)


def read(folder: pathlib.Path) -> Record:
    """Reads what `write` wrote.

    Raises:
        OSError: If there is nothing in the folder.
        ValueError: If it is damaged.
    """
    some_results(folder, "speed", *FILES)
    about = read_about(folder / RUN, "quick")
    found: Found = {}
    for part, row in read_csv(folder / ROWS, (ONLY, *Row._fields), _row):
        found.setdefault(part, []).append(row)
    head = (ONLY, *Claim._fields)
    stated = read_csv(folder / CLAIMS, head, _claim, may_be_empty=True)
    with checks.whole_record(folder / ROWS):
        checks.all_there(found, [part for part, _ in stated])
    for part, claim in stated:
        found[part].append(claim)
    with checks.whole_record(folder / RUN):
        commands = {
            **dict.fromkeys(found, about["command"]),
            **about.get(EARLIER, {}),
        }
    return Record(found, commands, about)


def _row(line):
    part, *words, note = line
    numbers = (float(number) for number in words[3:])
    return part, Row(*words[:3], *numbers, note)


def _claim(line):
    part, text, measured, kept = line
    return part, Claim(text, measured, KEPT[kept])
