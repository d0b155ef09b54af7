"""A distributed step, simulated: measured work, and a modelled network."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from keras_otreg.benchmark.scaling.measuring import Cost

BYTES = 4
# The number of samples, or the sum of their weights, before the costs.
SMALL_SUMS = 1


class Network(NamedTuple):
    """What connects the replicas.

    Attributes:
        gigabytes: In a second, out of each replica and into it.
        microseconds: From one replica to the next.
    """

    gigabytes: float = 12.5
    microseconds: float = 10.0

    def added_up(self, numbers: int, replicas: int) -> float:
        """Seconds of a ring all-reduce of as many float32 numbers."""
        return 2 * self.collected(numbers, replicas)

    def collected(self, numbers: int, replicas: int) -> float:
        """Seconds until each replica has all of as many numbers, in a ring."""
        sent = BYTES * numbers * (replicas - 1) / replicas
        delay = 1e-6 * self.microseconds * (replicas - 1)
        return delay + sent / (1e9 * self.gigabytes)


class Simulated(NamedTuple):
    """One line of the table, in seconds.

    Attributes:
        replicas: How many there are.
        batch: Samples of all replicas.
        compute: Student, teacher, own costs, and the plan.
        gradients: Adding up the gradients of the student.
        costs: Adding up the costs of the penalty.
        step: All of it, one after the other.
        efficiency: Time of a step of one replica over that of this one.
        gathered: A step that collects all samples in the place of adding up
            costs, and computes costs over them.
        samples: What a loss that compares each sample with each takes by
            itself, collecting included.
    """

    replicas: int
    batch: int
    compute: float
    gradients: float
    costs: float
    step: float
    efficiency: float
    gathered: float
    samples: float


def simulated(
    costs: list[Cost], replicas: Iterable[int], network: Network
) -> list[Simulated]:
    """Puts together steps of several replicas, nothing of them overlapping.

    Args:
        costs: What was measured.
        replicas: Numbers of replicas.
        network: What connects them.
    """
    of = {cost.part: cost for cost in reversed(costs)}
    own = of["student"].batch
    costs_of = _grown([c for c in costs if c.part == "costs"], 1)
    samples_of = _grown([c for c in costs if c.part == "samples"], 2)
    apart = sum(of[part].seconds for part in ("student", "teacher", "plan"))
    alone = apart + costs_of(own)
    lines = []
    for count in replicas:
        batch = own * count
        collected = network.collected(of["samples"].size // own * batch, count)
        gradients = network.added_up(of["student"].size, count)
        added = network.added_up(of["costs"].size, count)
        added += SMALL_SUMS * network.added_up(1, count)
        step = alone + gradients + added
        lines.append(
            Simulated(
                count,
                batch,
                alone,
                gradients,
                added,
                step,
                alone / step,
                apart + gradients + costs_of(batch) + collected,
                samples_of(batch) + collected,
            )
        )
    return lines


def _grown(costs, power):
    """Seconds by samples: a constant, and the rest by a power of them."""
    import scipy.optimize

    x = np.array([cost.batch for cost in costs], "float64") ** power
    y = np.array([cost.seconds for cost in costs])
    if len(costs) == 1:
        return lambda batch: float(y[0] * batch**power / x[0])
    # Relative errors count: the small ones are measured as well.
    matrix = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    fixed, slope = scipy.optimize.nnls(matrix, np.ones_like(y))[0]
    return lambda batch: float(fixed + slope * float(batch) ** power)
