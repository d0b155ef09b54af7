"""Tables of results on disk, never half there."""

import csv
import json
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from keras_otreg.benchmark.machine import machine
from keras_otreg.files import whole


def write_csv(
    path: pathlib.Path, head: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a table, its titles first."""
    with (
        whole(path) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([head, *rows])


def read_csv(path: pathlib.Path) -> list[list[str]]:
    """Reads what `write_csv` wrote, without the titles."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def write_about(path: pathlib.Path, **more: Any) -> None:
    """Writes down which command made the results, and on what."""
    about = {"command": " ".join(sys.argv[1:]), **more, **machine()}
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2), "utf-8")


def read_about(path: pathlib.Path) -> dict[str, Any]:
    """Reads what `write_about` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
