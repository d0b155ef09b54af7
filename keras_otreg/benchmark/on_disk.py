"""Tables of results on disk, never half there."""

import csv
import json
import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from keras_otreg import checks
from keras_otreg.benchmark.machine import machine
from keras_otreg.files import whole

Line = TypeVar("Line")


def some_results(folder: pathlib.Path, kind: str, *names: str) -> None:
    """Raises unless a folder holds the tables of a benchmark.

    Args:
        folder: Of --out.
        kind: Of the benchmark.
        *names: Of the tables.

    Raises:
        OSError: If one is missing.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise OSError(
            f"no results in {folder}: expected {', '.join(missing)}, as "
            f"`keras-otreg benchmark {kind} --out {folder}` writes"
        )


def read_csv(
    path: pathlib.Path,
    head: Sequence[str],
    parse: Callable[[list[str]], Line],
    *,
    may_be_empty: bool = False,
) -> list[Line]:
    """Reads what `write_csv` wrote, without the titles.

    Args:
        path: Of the table.
        head: The titles of its columns.
        parse: Makes something of the values of a line.
        may_be_empty: Whether a table without lines is whole, too.

    Raises:
        ValueError: If it is damaged.
    """
    with (
        checks.whole_record(path),
        path.open(newline="", encoding="utf-8") as file,
    ):
        titles, *lines = csv.reader(file)
        checks.equal_titles(titles, head)
        checks.some_lines(lines, may_be_empty)
        return [parse(line) for line in lines]


def write_about(path: pathlib.Path, **more: Any) -> None:
    """Writes down which command made the results, and on what."""
    about = {**more, "command": shlex.join(sys.argv[1:]), **machine()}
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2), "utf-8")


def read_about(path: pathlib.Path, *names: str) -> dict[str, Any]:
    """Reads what `write_about` wrote.

    Args:
        path: Of the file.
        *names: Of what has to be in it, beside the command.

    Raises:
        ValueError: If it is damaged.
    """
    with checks.whole_record(path):
        about = dict(json.loads(path.read_text(encoding="utf-8")))
        checks.all_there(about, ("command", *names))
    return about
