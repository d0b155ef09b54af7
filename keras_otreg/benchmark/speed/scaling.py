"""How time grows with the size, and with the number of problems."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_otreg.benchmark.speed import solvers
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import (
    best_value,
    best_values,
    distances,
    noise,
    qualities,
    quality,
)
from keras_otreg.ot import Sinkhorn, TransportProblem

PART = "growth with size"
EPSILON, ITERATIONS = 0.05, 20
PROBLEMS, POINTS, TOLERANCE = 256, 100, 1e-3
# POT stops by an L2 norm: this much of it is an L1 norm of about 1e-3.
POT_TOLERANCE = 1e-4


def grown(sizes: list[int], repeats: int) -> Iterator[Row | Claim]:
    """Times a few iterations from small to large problems."""
    task = solvers.Task(ITERATIONS, 0.0)
    times = {}
    for size in sizes:
        of = noise(size, EPSILON)
        work = solvers.ours(of, task)
        times[size] = interleaved({"ours": work}, repeats)["ours"]
        found = quality(of, *work()[:2])
        yield Row(
            PART,
            str(size),
            f"{ITERATIONS} iterations",
            times[size],
            marginal_error=found.marginal_error,
            value_gap=1 - found.value / best_value(of),
        )
    small, large = sizes[0], sizes[-1]
    power = math.log(times[large] / times[small]) / math.log(large / small)
    yield Claim(
        f"Time grows as n m, that is with the size to the power 2, from "
        f"{small} to {large}",
        f"to the power {power:.2f}",
        power <= 2.3,
    )


def small_problems(count: int, points: int) -> TransportProblem:
    """A batch of problems in float64, of a mean distance of 1."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(count, points, 8)) for _ in "xy")
    C = np.stack([distances(*pair) for pair in zip(x, y, strict=True)])
    weights = np.full((count, points), 1 / points)
    return TransportProblem(C / C.mean(), weights, weights, EPSILON)


def one_batch(problems: TransportProblem) -> Callable[[], tuple[Any, Any]]:
    """This library on a batch of problems, in float32."""
    import tensorflow as tf

    solver = Sinkhorn(1000, TOLERANCE)
    C, a, b = (tf.constant(x, "float32") for x in problems[:3])
    solve = tf.function(
        lambda C: solver(TransportProblem(C, a, b, EPSILON)), autograph=False
    )

    def work():
        found = solve(C)
        return found.f.numpy(), found.g.numpy()

    return work


def one_by_one(problems: TransportProblem) -> Callable[[], tuple[Any, Any]]:
    """POT on each problem of a batch, in float32."""
    import ot

    parts = [x.astype("float32") for x in problems[:3]]

    def work():
        logs = [
            ot.sinkhorn(
                *(a, b, c, EPSILON),
                stopThr=POT_TOLERANCE,
                warn=False,
                log=True,
            )[1]
            for c, a, b in zip(*parts, strict=True)
        ]
        u, v = (np.stack([log[k] for log in logs]) for k in "uv")
        a, b = problems.a, problems.b
        return EPSILON * np.log(u / a), EPSILON * np.log(v / b)

    return work


def together(repeats: int) -> Iterator[Row | Claim]:
    """Times many small problems as one batch, and one by one in POT."""
    problems = small_problems(PROBLEMS, POINTS)
    works = {
        "one batch": one_batch(problems),
        "POT, one by one": one_by_one(problems),
    }
    times = interleaved(works, repeats)
    case = f"{PROBLEMS} problems of {POINTS} x {POINTS}"
    best = best_values(problems)
    for name, seconds in times.items():
        found = qualities(problems, *works[name]())
        yield Row(
            "many small problems",
            case,
            name,
            seconds,
            marginal_error=float(np.max(found.marginal_error)),
            value_gap=float(np.max(np.abs(1 - found.value / best))),
            note="errors: the largest of all problems",
        )
    ratio = times["POT, one by one"] / times["one batch"]
    yield Claim(
        f"{case}: 10 times as fast as a loop over POT",
        f"{ratio:.1f} times",
        ratio >= 10.0,
    )
