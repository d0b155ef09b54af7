"""Trains on and on, and writes down what the process holds."""

import gc
import pathlib
import tempfile
import time
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.on_disk import (
    read_about,
    read_csv,
    some_results,
    write_about,
)
from keras_otreg.benchmark.soak.life import Kind, started
from keras_otreg.benchmark.soak.rounds import Round, claims, taken
from keras_otreg.files import write_csv


def run(kind: Kind, minutes: float, folder: pathlib.Path, console: Any) -> None:
    """Lives rounds of `life.started` until the time is over.

    Args:
        kind: Of model.
        minutes: How long; at least two rounds are lived.
        folder: Where the table goes, anew after each round.
        console: A `rich.console.Console`.

    Raises:
        ImportError: If psutil is not installed.
    """
    process = checks.installed("psutil", "benchmark", "The soak").Process()
    write_about(about_of(kind, folder))
    live = started(kind)
    rounds: list[Round] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        while len(rounds) < 2 or rounds[-1].minutes < minutes:
            live(pathlib.Path(place) / "model.keras")
            gc.collect()
            passed = (time.perf_counter() - start) / 60.0
            rounds.append(taken(process, len(rounds) + 1, passed))
            write_csv(table_of(kind, folder), Round._fields, rounds)
            console.print(_line(rounds[-1]))
    for claim in claims(rounds):
        mark = "met" if claim.kept else "not met"
        style = None if claim.kept else "bold red"
        console.print(f"{mark}: {claim.text}: {claim.measured}", style=style)


def table_of(kind: Kind, folder: pathlib.Path) -> pathlib.Path:
    """Where the rounds of a kind of model are."""
    return folder / f"{kind.name.replace(',', '').replace(' ', '_')}.csv"


def about_of(kind: Kind, folder: pathlib.Path) -> pathlib.Path:
    """Where it says how they came about."""
    return table_of(kind, folder).with_suffix(".json")


def read(
    kind: Kind, folder: pathlib.Path
) -> tuple[list[Round], dict[str, Any]]:
    """Reads what `run` wrote.

    Raises:
        OSError: If there is nothing of that kind.
    """
    table, about = table_of(kind, folder), about_of(kind, folder)
    some_results(folder, "soak", table.name, about.name)
    rounds = read_csv(
        table,
        Round._fields,
        lambda x: Round(
            int(x[0]), float(x[1]), float(x[2]), int(x[3]), int(x[4])
        ),
    )
    return rounds, read_about(about)


def _line(last):
    return (
        f"round {last.number}, minute {last.minutes:.1f}: "
        f"{last.megabytes:.0f} MB, {last.threads} threads, "
        f"{last.handles} handles"
    )
