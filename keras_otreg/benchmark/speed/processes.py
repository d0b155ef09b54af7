"""What only a fresh process can tell: start-up, and the peak of memory."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from keras_otreg.benchmark.speed.measure import Claim, Row

IMPORT = """
import time
start = time.perf_counter()
import keras
middle = time.perf_counter()
import keras_otreg
print(middle - start, time.perf_counter() - middle)
"""
# The peak before and after, in bytes: Linux counts in units of 1024.
SOLVE = """
import resource, sys
import numpy as np, tensorflow as tf
from keras_otreg.ot import Sinkhorn, TransportProblem
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def solve(size, iterations):
    a = tf.fill([size], 1.0 / size)
    solver = Sinkhorn(iterations, 0.0)
    run = tf.function(lambda C: solver(TransportProblem(C, a, a, 0.05)))
    C = tf.random.stateless_uniform((size, size), (0, 1))
    before = peak()
    return run(C).f.numpy(), before
solve(8, 2)
size, iterations = int(sys.argv[1]), int(sys.argv[2])
_, before = solve(size, iterations)
print(before, peak())
"""


def started(repeats: int) -> Iterator[Row | Claim]:
    """Times the import of this library after that of Keras."""
    times = [
        [float(word) for word in _python(IMPORT).split()[-2:]]
        # The first reads files that the others find in memory.
        for _ in range(repeats + 1)
    ][1:]
    keras, added = (statistics.median(x) for x in zip(*times, strict=True))
    yield Row("start-up", "import keras", "keras", keras)
    yield Row("start-up", "then import keras_otreg", "keras_otreg", added)
    yield Claim(
        "`import keras_otreg` adds at most 0.15 s to `import keras`",
        f"{added:.3f} s",
        added <= 0.15,
    )


def remembered(size: int, largest: int) -> Iterator[Row | Claim]:
    """Measures the peak of memory for few and many iterations."""
    peaks = {}
    for iterations in (10, 1000):
        peaks[iterations] = _peak(size, iterations)[0]
        yield Row(
            "memory",
            f"{size}, {iterations} iterations",
            "keras_otreg",
            note=f"{peaks[iterations]:.2f} matrices beyond the costs",
        )
    yield Claim(
        "Memory does not grow with the iterations, and is at most 5 matrices "
        "of the size of the costs",
        f"{peaks[10]:.2f} matrices for 10 iterations, {peaks[1000]:.2f} for "
        "1000",
        peaks[1000] <= min(5.0, peaks[10] + 0.5),
    )
    _, gigabytes = _peak(largest, 10)
    yield Claim(
        f"{largest} x {largest} runs on 8 GiB",
        f"{gigabytes:.2f} GiB, TensorFlow included",
        gigabytes <= 8.0,
    )


def _peak(size, iterations):
    """Matrices beyond the costs, and the GiB of the whole process."""
    words = _python(SOLVE, str(size), str(iterations)).split()
    before, after = (int(word) for word in words[-2:])
    return (after - before) / (4 * size**2), after / 2**30


def _python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
