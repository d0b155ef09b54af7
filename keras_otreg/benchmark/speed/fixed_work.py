"""A fixed number of iterations, by several solvers."""

from collections.abc import Iterator

from keras_otreg.benchmark.speed import floor, solvers
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import best_value, noise, quality

ITERATIONS = 100
EPSILON = 0.05
# Kernels of more bytes are read from memory in each half iteration.
CACHE = 32 * 2**20
PART = "100 iterations"
OURS, OTT, POT = "keras_otreg", "OTT-JAX", "POT TensorFlow"


def measure(sizes: list[int], repeats: int) -> Iterator[Row | Claim]:
    """Times 100 iterations at some sizes, beside the others and the floor."""
    read, bytes_read = floor.reading()
    task = solvers.Task(ITERATIONS, 0.0)
    for size in sizes:
        of = noise(size, EPSILON)
        works = {
            OURS: solvers.ours(of, task),
            f"{OURS}, plain": solvers.ours(of, task, accelerated=False),
            f"{OURS}, not compiled": solvers.ours(of, task, jit_compile=False),
            f"{OTT}, log": solvers.ott(of, task),
            f"{OTT}, kernel": solvers.ott(of, task, lse_mode=False),
            POT: solvers.pot(of, task, "tensorflow"),
            "POT NumPy": solvers.pot(of, task, "numpy"),
        }
        bare = {
            "two bare products": floor.matmul_pairs(of, ITERATIONS),
            "reading": read,
        }
        times = interleaved({**works, **bare}, repeats)
        kernel_bytes = 4 * size**2
        reading = 2 * ITERATIONS * kernel_bytes / bytes_read
        times["reading the kernel"] = times.pop("reading") * reading
        best = best_value(of)
        for name, seconds in times.items():
            found = quality(of, *works[name]()[:2]) if name in works else None
            yield Row(
                PART,
                str(size),
                name,
                seconds,
                marginal_error=found.marginal_error if found else float("nan"),
                value_gap=1 - found.value / best if found else float("nan"),
            )
        yield from _claims(size, times, kernel_bytes <= CACHE)


def _claims(size, times, in_cache):
    ours = times[OURS]
    ott = min(times[f"{OTT}, log"], times[f"{OTT}, kernel"])
    least = "two bare products" if in_cache else "reading the kernel"
    for peer, ratio, factor in (
        (f"{OTT}, its faster mode", ott / ours, 3.0),
        (POT, times[POT] / ours, 5.0),
    ):
        yield Claim(
            f"{PART} at {size}: {factor:g} times as fast as {peer}",
            f"{ratio:.2f} times",
            ratio >= factor,
        )
    yield Claim(
        f"{PART} at {size}: within 1.5 times {least}",
        f"{ours / times[least]:.2f} times",
        ours <= 1.5 * times[least],
    )
