"""What only a fresh process can tell: start-up, and the peak of memory."""

import statistics
import subprocess
import sys

from results import Claim, row

IMPORT = """
import time
start = time.perf_counter()
import keras
middle = time.perf_counter()
import keras_otreg
print(middle - start, time.perf_counter() - middle)
"""
# The peak before and after the first steps, in bytes. Without iterations it is
# a plain step, without transport. Linux counts in units of 1024, and begins
# its `ru_maxrss` with what the process holds that starts this one.
STEP = """
import re, sys
import keras, numpy as np
import keras_otreg as otreg
def peak():
    status = open("/proc/self/status").read()
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
def ready(neurons, iterations):
    model = keras.Sequential([
        keras.Input((16,)),
        keras.layers.Dense(neurons, activation="relu", name="features"),
        keras.layers.Dense(10, name="head"),
    ])
    if iterations:
        solver = otreg.ot.Sinkhorn(iterations, 0.0)
        loss = otreg.losses.RepresentationTransport(solver=solver)
        penalty = otreg.Penalty(loss, at="features")
        model = otreg.TransferModel(model, penalties=[penalty])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    return model
x = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
y = np.arange(32) % 10
size, iterations = int(sys.argv[1]), int(sys.argv[2])
ready(8, min(2, iterations)).train_on_batch(x, y)
model = ready(size, iterations)
before = peak()
for _ in range(3):
    model.train_on_batch(x, y)
print(before, peak())
"""


def start_up(repeats):
    """Times the import of this library after that of Keras."""
    times = [
        [float(word) for word in _python(IMPORT).split()[-2:]]
        # The first reads files that the others find in memory.
        for _ in range(repeats + 1)
    ][1:]
    keras, added = (statistics.median(x) for x in zip(*times, strict=True))
    yield row("start-up", on="import keras", by="keras", time=keras)
    yield row(
        "start-up", on="then import keras_otreg", by="keras_otreg", time=added
    )
    yield Claim(
        "`import keras_otreg` adds at most 0.15 s to `import keras`",
        f"{added:.3f} s",
        added <= 0.15,
    )


def memory(size, largest):
    """Measures the peak of memory of a step, for few and many iterations."""
    plain = _added(size, 0)[0]
    peaks = {}
    for iterations in (10, 1000):
        peaks[iterations] = (_added(size, iterations)[0] - plain) / size**2
        note = f"{peaks[iterations]:.2f} matrices beyond the plain step"
        yield row(
            "memory of a training step",
            on=f"{size} neurons, {iterations} iterations",
            by="keras_otreg",
            **{"": note},
        )
    yield Claim(
        "Memory of a step does not grow with the iterations, and is at most 5 "
        "matrices of the size of the costs beyond the plain step",
        f"{peaks[10]:.2f} matrices for 10 iterations, {peaks[1000]:.2f} for "
        "1000",
        peaks[1000] <= min(5.0, peaks[10] + 0.5),
    )
    _, gigabytes = _added(largest, 10)
    yield Claim(
        f"A step with {largest} x {largest} runs on 8 GiB",
        f"{gigabytes:.2f} GiB, TensorFlow included",
        gigabytes <= 8.0,
    )


def _added(size, iterations):
    """Numbers (float32) that steps add, and GiB of the whole process."""
    words = _python(STEP, str(size), str(iterations)).split()
    before, after = (int(word) for word in words[-2:])
    return (after - before) / 4, after / 2**30


def _python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
