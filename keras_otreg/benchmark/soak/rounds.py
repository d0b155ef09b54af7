"""What is left in a process after each round, and what that says."""

from typing import Any, NamedTuple

import numpy as np

from keras_otreg.benchmark.speed.measure import Claim

MEGABYTES_PER_MINUTE = 1.0


class Round(NamedTuple):
    """What a process holds at the end of a round.

    Attributes:
        number: Of the round, from 1.
        minutes: Since the start.
        megabytes: Resident memory.
        threads: Those of the process.
        handles: Open files, pipes and sockets.
    """

    number: int
    minutes: float
    megabytes: float
    threads: int
    handles: int


def taken(process: Any, number: int, minutes: float) -> Round:
    """Looks at a process.

    Args:
        process: A `psutil.Process`.
        number: Of the round.
        minutes: Since the start.
    """
    return Round(
        number,
        round(minutes, 4),
        round(process.memory_info().rss / 2**20, 2),
        process.num_threads(),
        process.num_fds(),
    )


def second_half(rounds: list[Round]) -> list[Round]:
    """The rounds of the later half of the time."""
    return [x for x in rounds if 2.0 * x.minutes >= rounds[-1].minutes]


def slope(rounds: list[Round]) -> float:
    """Megabytes a minute that the second half gains, by least squares."""
    late = second_half(rounds)
    if len(late) < 2:
        return float("nan")
    minutes, megabytes = ([x[k] for x in late] for k in (1, 2))
    return float(np.polyfit(minutes, megabytes, 1)[0])


def claims(rounds: list[Round]) -> list[Claim]:
    """What is promised of a long training, and what was found."""
    late, grown = second_half(rounds), slope(rounds)
    promises = [
        Claim(
            f"Memory grows by at most {MEGABYTES_PER_MINUTE:g} MB a minute "
            "over the second half",
            f"{grown:+.2f} MB a minute over {len(late)} rounds",
            grown <= MEGABYTES_PER_MINUTE,
        )
    ]
    for name in ("threads", "handles"):
        first, last = (getattr(late[k], name) for k in (0, -1))
        promises.append(
            Claim(
                f"No more {name} at the end than half-way",
                f"{first} half-way, {last} at the end",
                last <= first,
            )
        )
    return promises
