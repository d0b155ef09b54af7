"""Shows how far an experiment is."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import rich.progress

Advance = Callable[[], None]


class Stages:
    """One bar over all trainings, with the name of the present one.

    Args:
        bar: A `rich.progress.Progress`.
        total: How many times it will advance.
    """

    def __init__(self, bar: Any, total: int):
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def begin(self, name: str) -> None:
        """Shows what is being done from now on."""
        self._bar.update(self._task, description=name)

    def advance(self, steps: int = 1) -> None:
        """One training is done, or several steps of one."""
        self._bar.advance(self._task, steps)


@contextlib.contextmanager
def progress(console: Any, total: int) -> Iterator[Stages]:
    """Shows a bar within the block.

    Args:
        console: A `rich.console.Console`.
        total: How many times the bar will advance.

    Yields:
        The `Stages` to report to.
    """
    columns = (
        rich.progress.TextColumn("{task.description:<36}", markup=False),
        rich.progress.BarColumn(bar_width=20),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(
        *columns, console=console, transient=True
    ) as bar:
        yield Stages(bar, total)
