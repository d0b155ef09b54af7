"""Losses on the replicas of a strategy, beside the same on one device.

Run in a process of its own: devices are set before TensorFlow starts.
"""

import functools
import json
import sys

import numpy as np
import tensorflow as tf

# Samples of each replica, of which one has none.
SIZES = {2: [5, 3], 4: [3, 2, 0, 3]}


def start(count):
    """Makes some virtual devices."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, devices)


def value_and_gradient(loss, teacher, student, weights=None):
    student = tf.convert_to_tensor(student)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = loss(teacher, student, weights)
    return value, tape.gradient(value, student)


def distributed(strategy, loss, sizes, *arrays):
    """The sum of the values, and all gradients in one array."""
    ends = np.cumsum(sizes)

    def part(context):
        k = context.replica_id_in_sync_group
        inside = slice(ends[k] - sizes[k], ends[k])
        return tuple(tf.constant(x[inside]) for x in arrays)

    def of_unknown_size(x):
        # As in `fit`: Keras does not reduce what it knows to be empty.
        return tf.raw_ops.PlaceholderWithDefault(
            input=x, shape=[None, *x.shape[1:]]
        )

    @tf.function
    def step(parts):
        return strategy.run(
            lambda *one: value_and_gradient(loss, *map(of_unknown_size, one)),
            args=parts,
        )

    values, gradients = step(
        strategy.experimental_distribute_values_from_function(part)
    )
    total = strategy.reduce("SUM", values, axis=None)
    each = [x.numpy() for x in strategy.experimental_local_results(gradients)]
    return total.numpy(), np.concatenate(each)


def error(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def compare(strategy, loss, *arrays):
    """The relative errors of value and gradient."""
    sizes = SIZES[strategy.num_replicas_in_sync]
    both = distributed(strategy, loss, sizes, *arrays)
    alone = value_and_gradient(loss, *arrays)
    pairs = zip(both, alone, strict=True)
    return [error(x, np.array(y)) for x, y in pairs]


if __name__ == "__main__":
    count = int(sys.argv[1])
    start(count)
    from test_loss_laws import LOSSES

    from keras_otreg import losses
    from keras_otreg.ot import costs

    transport = functools.partial(
        losses.RepresentationTransport, plan="uniform"
    )
    mmd = losses.MaximumMeanDiscrepancy
    cases = {
        **LOSSES,
        "cosine": lambda: transport("cosine"),
        "cityblock": lambda: transport("cityblock"),
        "positions": lambda: transport("squared_cosine", spatial="keep"),
        "a cost of the user": lambda: transport(
            lambda x, y: costs.euclidean(x, y) ** 1.5
        ),
        "sum": lambda: transport(reduction="sum"),
        "sum of mmd": lambda: mmd(reduction="sum"),
        "apart": lambda: transport(across_replicas=False),
        "mmd apart": lambda: mmd(across_replicas=False),
    }
    rng = np.random.default_rng(0)
    student = rng.normal(size=(8, 3, 3, 4)).astype("float32")
    teacher = (student + rng.normal(size=student.shape)).astype("float32")
    weights = np.array([2, 0, 1, 3, 0, 1, 1, 0.5], "float32")
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{k}" for k in range(count)]
    )
    arrays = (teacher, student, weights)[: 2 if count == 2 else 3]
    errors = {
        name: compare(strategy, cases[name](), *arrays) for name in sys.argv[2:]
    }
    sys.stdout.write(json.dumps(errors))
