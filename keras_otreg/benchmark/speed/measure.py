"""Times measured in turn, so that a busy machine is busy for all."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# The threads of the last work keep the cores busy for a while, and those of
# the next are asleep: in training they are not. Long works wake their own.
PAUSE, LONG = 0.05, 0.2


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        part: What is measured.
        case: On what: a size, a strength.
        method: By what.
        seconds: Median time; NaN where something else is measured.
        iterations: Until the tolerance; NaN where unknown.
        marginal_error: L1 error of both marginals, in float64.
        value_gap: How far the dual value is below the best known, relative.
        note: Anything else.
    """

    part: str
    case: str
    method: str
    seconds: float = float("nan")
    iterations: float = float("nan")
    marginal_error: float = float("nan")
    value_gap: float = float("nan")
    note: str = ""


class Claim(NamedTuple):
    """A target, and what was measured.

    Attributes:
        text: The target.
        measured: In words and numbers.
        kept: Whether it holds here; `None` if there is nothing to tell from.
    """

    text: str
    measured: str
    kept: bool | None

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "met", False: "not met", None: "open"}[self.kept]


def interleaved(
    works: dict[str, Callable[[], Any]], repeats: int, patience: float = 2.0
) -> dict[str, float]:
    """Median seconds of some works, run in turn after one run each.

    Args:
        works: Functions that return when their work is done.
        repeats: How often each is timed, at most.
        patience: Seconds after which a work is not timed again.

    Returns:
        Seconds by the name of the work.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
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
