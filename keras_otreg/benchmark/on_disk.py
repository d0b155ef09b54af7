"""Tables of results on disk, never half there."""

import csv
import json
import pathlib
import shlex
import sys
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.machine import machine
from keras_otreg.files import whole


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


def read_csv(path: pathlib.Path) -> list[list[str]]:
    """Reads what `write_csv` wrote, without the titles."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def write_about(path: pathlib.Path, **more: Any) -> None:
    """Writes down which command made the results, and on what."""
    about = {**more, "command": shlex.join(sys.argv[1:]), **machine()}
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2), "utf-8")


def read_about(path: pathlib.Path) -> dict[str, Any]:
    """Reads what `write_about` wrote.

    Raises:
        ValueError: If it is damaged.
    """
    with checks.whole_record(path):
        return dict(json.loads(path.read_text(encoding="utf-8")))
