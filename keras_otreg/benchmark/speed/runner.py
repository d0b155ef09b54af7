"""Runs the parts of the benchmark of speed."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.machine import machine
from keras_otreg.benchmark.speed import (
    fine_tuning,
    fixed_work,
    processes,
    profile,
    record,
    scaling,
    to_tolerance,
    training_step,
    warm_starts,
)
from keras_otreg.benchmark.speed.measure import Claim, Row
from keras_otreg.benchmark.speed.problems import cloud, noise
from keras_otreg.benchmark.speed.report import Report

Part = Callable[[bool], Iterator[Row | Claim]]
# What parts compare with, or draw with.
LIBRARIES = {
    "fixed-work": ("jax", "ott", "ot"),
    "tolerance": ("jax", "ott", "geomloss", "torch"),
    "growth": ("matplotlib",),
    "batch": ("ot",),
}
# For POT it changes for good how TensorFlow's tensors behave.
LAST = "fixed-work"
# A late step of the run: the networks differ by then.
STEPS, LATE = 40, 35
PICTURE = 64


@functools.cache
def _steps():
    return fine_tuning.recorded(STEPS, 32, PICTURE)


def _to_tolerance(quick):
    step = _steps()[LATE]
    clouds = {
        "Lite0 1280": cloud(step.teacher.T, step.student.T, 0.05),
        "noise 1024": noise(1024, 0.05),
    }
    if quick:
        clouds = {"noise 256": noise(256, 0.05)}
    return to_tolerance.measure(clouds, 1 if quick else 3)


PARTS: dict[str, Part] = {
    "start-up": lambda quick: processes.started(1 if quick else 5),
    "memory": lambda quick: (
        processes.remembered(1024, 2048)
        if quick
        else processes.remembered(4096, 8192)
    ),
    "profile": lambda quick: (
        profile.measure([256], 3)
        if quick
        else profile.measure([1280, 2048, 4096], 15)
    ),
    "fixed-work": lambda quick: (
        fixed_work.measure([512], 3)
        if quick
        else fixed_work.measure([512, 1024, 2048, 4096], 7)
    ),
    "tolerance": _to_tolerance,
    "warm-starts": lambda quick: warm_starts.measure(_steps()),
    "growth": lambda quick: (
        scaling.grown([256, 512, 1024], 3)
        if quick
        else scaling.grown([256, 512, 1024, 2048, 4096, 8192], 3)
    ),
    "batch": lambda quick: scaling.together(3 if quick else 7),
    "step": lambda quick: (
        training_step.measure(8, PICTURE, 3)
        if quick
        else training_step.measure(32, 128, 9)
    ),
}


def run(
    names: Iterable[str], quick: bool, out: pathlib.Path, console: Any
) -> None:
    """Measures some parts, and writes tables and pictures.

    Args:
        names: Of the parts, among `PARTS`.
        quick: Whether small problems and few repeats will do.
        out: A folder, for `speed.csv`, `claims.csv` and pictures. Unless all
            parts are measured, the others' results in it stay.
        console: A `rich.console.Console`.

    Raises:
        ImportError: If a library to compare with is not installed.
        OSError: If the folder holds some of the tables only.
        ValueError: If what is to stay there is damaged, or was measured on
            something else.
    """
    names = sorted(dict.fromkeys(names), key=lambda name: name == LAST)
    _check_installed(names)
    import rich.progress

    earlier = _to_stay(out, quick) if set(names) != set(PARTS) else None
    report = Report(out, PARTS, earlier)
    with rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            report.put(name, PARTS[name](quick))
            # After each part: what is measured stays if the next one fails.
            report.write(quick)
            progress.advance(task)
    report.show(console)


def _check_installed(names):
    """Raises if a library that some parts need is not there."""
    needed = [x for name in names for x in LIBRARIES.get(name, ())]
    for library in dict.fromkeys(["rich", *needed]):
        checks.installed(library, "benchmark", "Comparing with others")


def _to_stay(out, quick):
    """What other parts have left in a folder."""
    if not record.is_there(out):
        return None
    earlier = record.read(out)
    checks.same_run(earlier.about, {"quick": quick, **machine()}, out)
    return earlier
