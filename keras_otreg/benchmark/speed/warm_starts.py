"""Iterations from the last potentials, along a run of fine-tuning."""

import statistics
from collections.abc import Iterator

from keras import ops

from keras_otreg.benchmark.speed.fine_tuning import Step
from keras_otreg.benchmark.speed.measure import Claim, Row
from keras_otreg.losses import RepresentationTransport
from keras_otreg.ot import Sinkhorn

TOLERANCE, MAX_ITERATIONS = 1e-2, 1000
SETTLED = 20
PART = f"iterations to {TOLERANCE:g} in training"
COLD, SAME, WARM = (
    "plain, cold",
    "running costs, cold",
    "running costs, warm (default)",
)
# Momentum, whether accelerated, whether from the last potentials. The first
# three are on the costs of each batch.
METHODS = {
    COLD: (0.0, False, False),
    "accelerated, cold": (0.0, True, False),
    "accelerated, warm": (0.0, True, True),
    "running costs, plain, cold": (0.9, False, False),
    SAME: (0.9, True, False),
    WARM: (0.9, True, True),
}


class _Counting:
    """A solver that counts its iterations."""

    def __init__(self, accelerated):
        self.solver = Sinkhorn(MAX_ITERATIONS, TOLERANCE, accelerated)
        self.counts = []

    def __call__(self, problem, init=None):
        found = self.solver(problem, init)
        self.counts.append(int(found.num_iterations))
        return found


def _loss(n, m, momentum, accelerated, warm):
    loss = RepresentationTransport(momentum=momentum)
    memory = loss.memory((None, n), (None, m))
    memory.g = memory.g if warm else None
    loss.solver = _Counting(accelerated)
    return loss.remembering(memory)


def measure(steps: list[Step]) -> Iterator[Row | Claim]:
    """Counts iterations of the steps of a run, from several starts."""
    n, m = (s.shape[-1] for s in steps[0])
    methods = {name: _loss(n, m, *how) for name, how in METHODS.items()}
    for step in steps:
        for loss in methods.values():
            loss(*(ops.convert_to_tensor(x) for x in step))
    medians = {
        name: statistics.median(loss.solver.counts[SETTLED:])
        for name, loss in methods.items()
    }
    for name, median in medians.items():
        yield Row(PART, f"{n} neurons", name, iterations=median)
    yield from claims(medians)


def claims(medians: dict[str, float]) -> Iterator[Claim]:
    """What the last potentials save, by the median iterations of methods."""
    warm = medians[WARM]
    yield Claim(
        f"{PART}, by default: at most 8 from the last potentials",
        f"{warm:g}",
        warm <= 8,
    )
    yield Claim(
        f"{PART}, by default: 5 times fewer than a plain cold start",
        f"{medians[COLD] / warm:.1f} times; {medians[SAME] / warm:.1f} times "
        "fewer than the same solver started cold",
        medians[COLD] >= 5 * warm,
    )
