"""What one replica of a distributed step computes, timed."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from keras_otreg.benchmark.speed import fine_tuning
from keras_otreg.benchmark.speed.measure import interleaved
from keras_otreg.losses import MaximumMeanDiscrepancy
from keras_otreg.ot import Sinkhorn
from keras_otreg.ot.costs import euclidean
from keras_otreg.ot.fixed_plan import (
    of_mean_one,
    paid_of_costs,
    planner_of_costs,
)

EPSILON = 0.05


class Cost(NamedTuple):
    """A part of the work of a replica.

    Attributes:
        part: Which one: `"student"`, `"teacher"`, `"costs"`, `"plan"` or
            `"samples"`.
        batch: For how many samples.
        seconds: Median time.
        size: What the replicas have to add up of it, in numbers; for
            `"samples"` what each has to collect.
    """

    part: str
    batch: int
    seconds: float
    size: int


def measured(
    batch: int, pixels: int, batches: list[int], repeats: int
) -> list[Cost]:
    """Times the parts of a fine-tuning step of EfficientNet-Lite0.

    Args:
        batch: Samples of a replica.
        pixels: Height and width of the pictures.
        batches: Numbers of samples of all replicas, for what grows with them.
        repeats: How often each is timed.
    """
    x, y = fine_tuning.pictures(batch, pixels)
    student = fine_tuning.network(pixels, int(y.max()) + 1)
    fine_tuning.compile_(student)
    teacher = keras.models.clone_model(student)
    width = student.get_layer(fine_tuning.AT).output.shape[-1]
    forward = tf.function(lambda x: teacher(x, training=False), autograph=False)
    works = {
        ("student", batch): lambda: student.train_on_batch(x, y),
        ("teacher", batch): lambda: forward(x).numpy(),
        ("plan", batch): _plan(batch, width),
    }
    for count in sorted({batch, *batches}):
        works["costs", count] = _costs(count, width)
        works["samples", count] = _samples(count, width)
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
    """Activations of a student and of its teacher."""
    teacher = ops.relu(keras.random.normal((batch, width)))
    return teacher, teacher + 0.3 * keras.random.normal((batch, width))


def _costs(batch: int, width: int) -> Any:
    """Costs over some samples, and what comes back to the student."""
    teacher, student = _features(batch, width)
    P = tf.fill((width, width), 1.0 / width**2)

    @tf.function(autograph=False)
    def step(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch(student)
            C = euclidean(tf.transpose(teacher), tf.transpose(student))
            value = tf.reduce_sum(paid_of_costs(C, P))
        return tape.gradient(value, student)

    return lambda: step(teacher, student).numpy()


def _plan(batch: int, width: int) -> Any:
    """The plan of given costs, started from nothing."""
    teacher, student = (tf.transpose(x) for x in _features(batch, width))
    C = of_mean_one(euclidean(teacher, student))
    plan = planner_of_costs(EPSILON, Sinkhorn())
    return lambda: plan(C).P.numpy()


def _samples(batch: int, width: int) -> Any:
    """A loss that compares each sample with each, and its gradient."""
    teacher, student = _features(batch, width)
    loss = MaximumMeanDiscrepancy()

    @tf.function(autograph=False)
    def step(teacher, student):
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = loss(teacher, student)
        return tape.gradient(value, student)

    return lambda: step(teacher, student).numpy()
