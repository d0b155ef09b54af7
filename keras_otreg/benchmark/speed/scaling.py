"""How time grows with the size, and with the number of problems."""

import math
from collections.abc import Iterator

import numpy as np

from keras_otreg.benchmark.speed import solvers
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import distances, noise
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
        work = solvers.ours(noise(size, EPSILON), task)
        times[size] = interleaved({"ours": work}, repeats)["ours"]
        yield Row(PART, str(size), f"{ITERATIONS} iterations", times[size])
    small, large = sizes[0], sizes[-1]
    power = math.log(times[large] / times[small]) / math.log(large / small)
    yield Claim(
        f"Time grows as n m, that is with the size to the power 2, from "
        f"{small} to {large}",
        f"to the power {power:.2f}",
        power <= 2.3,
    )


def together(repeats: int) -> Iterator[Row | Claim]:
    """Times many small problems as one batch, and one by one in POT."""
    import ot
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(PROBLEMS, POINTS, 8)) for _ in "xy")
    C = np.stack([distances(*pair) for pair in zip(x, y, strict=True)])
    C = (C / C.mean()).astype("float32")
    a = np.full(POINTS, 1 / POINTS, "float32")
    weights = np.tile(a, (PROBLEMS, 1))
    solver = Sinkhorn(1000, TOLERANCE)
    solve = tf.function(
        lambda C: solver(TransportProblem(C, weights, weights, EPSILON)),
        autograph=False,
    )
    costs = tf.constant(C)
    works = {
        "one batch": lambda: solve(costs).f.numpy(),
        "POT, one by one": lambda: [
            ot.sinkhorn(a, a, c, EPSILON, stopThr=POT_TOLERANCE, warn=False)
            for c in C
        ],
    }
    times = interleaved(works, repeats)
    case = f"{PROBLEMS} problems of {POINTS} x {POINTS}"
    for name, seconds in times.items():
        yield Row("many small problems", case, name, seconds)
    ratio = times["POT, one by one"] / times["one batch"]
    yield Claim(
        f"{case}: 10 times as fast as a loop over POT",
        f"{ratio:.1f} times",
        ratio >= 10.0,
    )
