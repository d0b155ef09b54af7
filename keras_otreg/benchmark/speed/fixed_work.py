"""A fixed number of iterations, by several solvers."""

from collections.abc import Iterator

from keras_otreg.benchmark.speed import floor, solvers
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.problems import best_value, noise, quality

ITERATIONS = 100
EPSILON = 0.05
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
        bare = floor.matmul_pairs(of, ITERATIONS)
        times = interleaved({**works, **bare, **read}, repeats)
        per_byte = floor.seconds_per_byte(times, bytes_read)
        times[floor.READING] = 2 * ITERATIONS * 4 * size**2 * per_byte
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
        yield from claims(size, times, floor.cache())


def claims(size: int, times: dict[str, float], cache: int) -> Iterator[Claim]:
    """How much faster than others, and how near to the floor.

    Args:
        size: Neurons on each side.
        times: Seconds by the names of `measure`.
        cache: How many bytes of a kernel stay in the caches.
    """
    ours = times[OURS]
    ott = min(times[f"{OTT}, log"], times[f"{OTT}, kernel"])
    for peer, ratio, factor in (
        (f"{OTT}, its faster mode", ott / ours, 3.0),
        (POT, times[POT] / ours, 5.0),
    ):
        yield Claim(
            f"{PART} at {size}: {factor:g} times as fast as {peer}",
            f"{ratio:.2f} times",
            ratio >= factor,
        )
    yield _near_the_floor(size, times, cache)


def _near_the_floor(size, times, cache):
    kernel = 4 * size**2
    fits = kernel <= cache
    least = floor.fastest_pair(times) if fits else floor.READING
    return Claim(
        f"{PART} at {size}: within 1.5 times "
        f"{floor.PRODUCTS if fits else floor.READING}",
        f"{times[OURS] / times[least]:.2f} times {least}: {kernel >> 20} MiB "
        f"{'fit' if fits else 'do not fit'} in the cache of {cache >> 20} MiB",
        times[OURS] <= 1.5 * times[least],
    )
