"""A distributed step, simulated: measured work, and a modelled network."""

from typing import NamedTuple

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf
from keras import ops
from results import interleaved, row
from training import AT, network, pictures

from keras_otreg.losses import MaximumMeanDiscrepancy
from keras_otreg.ot import Sinkhorn
from keras_otreg.ot.costs import euclidean
from keras_otreg.ot.fixed_plan import KNOWN, column_costs, planner

EPSILON, BYTES = 0.05, 4
REPLICAS = [2**k for k in range(11)]
ABOUT = """\
A fine-tuning step of EfficientNet-Lite0 with one penalty at its 1,280 pooled \
units. **The second table is a simulation: no cluster was there.** It takes \
the times of the first for the work, and for the network rings in which each \
replica sends and receives {gigabytes:g} GB/s, {microseconds:g} microseconds \
from one to the next. Nothing overlaps, where TensorFlow would send gradients \
while it computes others.

*compute*: student, teacher, costs of the own samples, and the plan. \
*gradients*, *C*: adding them up over the replicas. *gathered*: the step, if \
replicas collected all samples in the place of adding up `C`. *MMD*: what a \
loss that compares each sample with each takes by itself."""


class Network(NamedTuple):
    """What connects the replicas: its rate, and the time to the next one."""

    gigabytes: float = 12.5
    microseconds: float = 10.0

    def added_up(self, numbers, replicas):
        """Seconds of a ring all-reduce of as many float32 numbers."""
        return 2 * self.collected(numbers, replicas)

    def collected(self, numbers, replicas):
        """Seconds until each replica has all of as many numbers, in a ring."""
        sent = BYTES * numbers * (replicas - 1) / replicas
        delay = 1e-6 * self.microseconds * (replicas - 1)
        return delay + sent / (1e9 * self.gigabytes)


class Cost(NamedTuple):
    """A part of the work of a replica on a batch.

    `size` is what the replicas have to add up of it, in numbers; of `samples`
    what each has to collect.
    """

    part: str
    batch: int
    seconds: float
    size: int


def measured(batch, pixels, batches, repeats):
    """Times the parts of a fine-tuning step."""
    x, y = pictures(batch, pixels)
    student = network(pixels, int(y.max()) + 1)
    teacher = keras.models.clone_model(student)
    width = student.get_layer(AT).output.shape[-1]
    forward = tf.function(lambda x: teacher(x, training=False), autograph=False)
    works = {
        ("student", batch): lambda: student.train_on_batch(x, y),
        ("teacher", batch): lambda: forward(x).numpy(),
        ("plan", batch): plan(batch, width),
    }
    for count in sorted({batch, *batches}):
        works["costs", count] = costs(count, width)
        works["samples", count] = samples(count, width)
    times = interleaved(works, repeats, patience=20.0)
    sizes = {
        "student": student.count_params(),
        "teacher": 0,
        "costs": width**2,
        "plan": 0,
    }
    return [
        Cost(part, count, seconds, sizes.get(part, 2 * count * (width + 1)))
        for (part, count), seconds in times.items()
    ]


def _features(batch, width):
    teacher = ops.relu(keras.random.normal((batch, width)))
    return teacher, teacher + 0.3 * keras.random.normal((batch, width))


def _gradient(loss, batch, width):
    """A work: the gradient of a loss in the student's activations."""
    teacher, student = _features(batch, width)

    @tf.function(autograph=False)
    def step(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = loss(teacher, student)
        return tape.gradient(value, student)

    return lambda: step(teacher, student).numpy()


def costs(batch, width):
    """Costs over some samples, and what comes back to the student."""
    P = tf.fill((width, width), 1.0 / width**2)

    def loss(teacher, student):
        C = euclidean(tf.transpose(teacher), tf.transpose(student))
        return tf.reduce_sum(column_costs(KNOWN)(C, P))

    return _gradient(loss, batch, width)


def samples(batch, width):
    """A loss that compares each sample with each."""
    return _gradient(MaximumMeanDiscrepancy(), batch, width)


def plan(batch, width):
    """The plan of given costs, started from nothing."""
    C = euclidean(*(tf.transpose(x) for x in _features(batch, width)))
    solve = planner(KNOWN, EPSILON, Sinkhorn())
    return lambda: solve(C)[0].numpy()


def simulated(costs, replicas, network):
    """Steps of several replicas, of whose parts nothing overlaps."""
    of = {cost.part: cost for cost in reversed(costs)}
    own = of["student"].batch
    costs_of = _grown([c for c in costs if c.part == "costs"], 1)
    samples_of = _grown([c for c in costs if c.part == "samples"], 2)
    apart = sum(of[part].seconds for part in ("student", "teacher", "plan"))
    alone = apart + costs_of(own)
    for count in replicas:
        batch = own * count
        collected = network.collected(of["samples"].size // own * batch, count)
        gradients = network.added_up(of["student"].size, count)
        # The number of samples, or the sum of their weights, goes ahead.
        added = network.added_up(of["costs"].size, count)
        added += network.added_up(1, count)
        step = alone + gradients + added
        yield {
            "replicas": count,
            "samples": batch,
            "compute": alone,
            "gradients": gradients,
            "C": added,
            "step": step,
            "efficiency": alone / step,
            "gathered": apart + gradients + costs_of(batch) + collected,
            "MMD": samples_of(batch) + collected,
        }


def _grown(costs, power):
    """Seconds by samples: a constant, and the rest by a power of them."""
    x = np.array([cost.batch for cost in costs], "float64") ** power
    y = np.array([cost.seconds for cost in costs])
    if len(costs) == 1:
        return lambda batch: float(y[0] * batch**power / x[0])
    # Relative errors count: the small ones are measured as well.
    matrix = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    fixed, slope = scipy.optimize.nnls(matrix, np.ones_like(y))[0]
    return lambda batch: float(fixed + slope * float(batch) ** power)


def replica(quick, network):
    """Measures one replica, and simulates many."""
    if quick:
        found = measured(8, 32, [32], 1)
    else:
        found = measured(32, 128, [128, 512, 2048], 7)
    yield from of_replica(found, network)


def of_replica(costs, network):
    for part, batch, time, size in costs:
        values = {"numbers to send": size}
        yield row(
            "measured: the work of one replica",
            part=part,
            samples=batch,
            time=time,
            **values,
        )
    for values in simulated(costs, REPLICAS, network):
        yield row("simulated: many replicas", **values)
