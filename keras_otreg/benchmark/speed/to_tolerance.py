"""Time until the marginals are as asked, by several solvers."""

import statistics
from collections.abc import Iterator
from typing import Any

from keras_otreg.benchmark.speed import solvers
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import Cloud, best_value, quality

EPSILONS = (0.1, 0.05, 0.02, 0.005)
# In float32 the potentials themselves are not known to 1e-6.
TOLERANCES = ((1e-3, "float32"), (1e-6, "float64"))
SCALINGS = (0.5, 0.8, 0.9, 0.95, 0.99)
OURS, MISSED = "keras_otreg", "not reached"
# OTT-JAX gives up after as many.
ITERATIONS = 2000


def measure(clouds: dict[str, Cloud], repeats: int) -> Iterator[Row | Claim]:
    """Times solvers to a tolerance, on problems given by name."""
    rows = []
    for tolerance, dtype in TOLERANCES:
        for name, of in clouds.items():
            for epsilon in EPSILONS:
                point = of._replace(epsilon=epsilon)
                found = list(_point(name, point, tolerance, dtype, repeats))
                yield from found
                rows += found
    yield from claims(rows)


def claims(rows: list[Row]) -> Iterator[Claim]:
    """How much faster each family of peers was beaten, where it arrived."""
    ours = {(x.part, x.case): x for x in rows if x.method == OURS}
    peers = [x for x in rows if x.method != OURS]
    for family in dict.fromkeys(x.method.split(",")[0] for x in peers):
        group = [x for x in peers if x.method.split(",")[0] == family]
        ratios = [
            x.seconds / ours[x.part, x.case].seconds
            for x in group
            if x.note != MISSED
        ]
        arrived = all(x.note != MISSED for x in ours.values())
        yield Claim(
            f"To a tolerance: faster than {family} at every point, in the "
            "median 3 times",
            *_compared(ratios, len(group), arrived),
        )


def _compared(ratios, runs, arrived):
    """What was measured, in words, and whether the promise is kept."""
    if not ratios:
        told = f"it never arrived, in {runs} runs: nothing to compare with"
        return told, None if arrived else False
    median = statistics.median(ratios)
    return (
        f"it arrived in {len(ratios)} of {runs} runs; {min(ratios):.2f} times "
        f"at least, median {median:.1f}",
        arrived and min(ratios) > 1.0 and median >= 3.0,
    )


def _point(name, of, tolerance, dtype, repeats):
    """All solvers on one problem."""
    task = solvers.Task(ITERATIONS, tolerance, dtype)
    works = {OURS: solvers.ours(of, task), **_ott(of, task)}
    label, work = _geomloss(of, task)
    works[label] = work
    times = interleaved(works, repeats)
    best = best_value(of)
    for method, seconds in times.items():
        f, g, iterations = works[method]()
        found = quality(of, f, g)
        yield Row(
            f"to {tolerance:g} in {dtype}, by problem and epsilon",
            f"{name}, {of.epsilon:g}",
            method,
            seconds,
            iterations,
            found.marginal_error,
            1 - found.value / best,
            # Rounding of the potentials comes on top of what a solver sees.
            "" if found.marginal_error <= 1.1 * tolerance else MISSED,
        )


def _ott(of, task) -> dict[str, Any]:
    from ott.solvers.linear.acceleration import (
        AndersonAcceleration,
        Momentum,
    )

    return {
        "OTT-JAX": solvers.ott(of, task),
        "OTT-JAX, momentum": solvers.ott(of, task, momentum=Momentum(start=50)),
        "OTT-JAX, Anderson": solvers.ott(
            of, task, anderson=AndersonAcceleration(memory=3)
        ),
    }


def _geomloss(of, task):
    """GeomLoss at the fastest of its settings that reaches the tolerance."""
    for scaling in SCALINGS:
        work = solvers.geomloss(of, task, scaling)
        f, g, _ = work()
        if quality(of, f, g).marginal_error <= task.tolerance:
            break
    return f"GeomLoss, scaling {scaling:g}", work
