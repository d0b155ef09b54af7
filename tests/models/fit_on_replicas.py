"""Fits models on the replicas of a strategy; writes logs and weights.

Run in a process of its own: devices are set before TensorFlow starts. The
arguments are the number of replicas, a file for the results, and the names of
cases.
"""

import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_otreg as otreg
from keras_otreg import losses

SAMPLES, BATCH, EPOCHS = 80, 16, 4
rng = np.random.default_rng(0)
X = rng.normal(size=(SAMPLES, 6)).astype("float32")
Y = rng.integers(0, 3, size=SAMPLES)
# Near the solution: rounding may else decide which iteration is the last.
SOLVER = otreg.ot.Sinkhorn(2000, 1e-6)
WEIGHTS = rng.uniform(0.1, 2.0, size=SAMPLES).astype("float32")


def network(width, seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(width, "relu", name="features")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def model(*wanted, width=7, task=True, **settings):
    penalties = [otreg.Penalty(loss, at="features") for loss in wanted]
    made = otreg.TransferModel(
        network(width, 1), network(8, 2), penalties, **settings
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss if task else None,
        metrics=["accuracy"] if task else None,
    )
    return made


def transport(**settings):
    return losses.RepresentationTransport(
        epsilon=0.1, solver=SOLVER, **settings
    )


def weighted():
    """Warm potentials, momentum, an adapter, and sample weights."""
    alignment = losses.TransportAlignment(solver=SOLVER)
    made = model(transport(momentum=0.5), alignment, losses.Hint())
    return made, (X, Y, WEIGHTS)


def unlabelled():
    """Samples without labels, and a teacher that has been run before."""
    made = model(transport(), losses.CenteredKernelAlignment())
    more = rng.normal(size=(2 * SAMPLES, 6)).astype("float32")
    data, more = (
        otreg.data.with_teacher(x, made, batch_size=size, shuffle=False)
        for x, size in (((X, Y), BATCH), (more, 2 * BATCH))
    )
    return made, otreg.data.with_unlabelled(data, more)


def joint():
    costs = rng.uniform(size=(5, 3))
    task = otreg.SourceTask(
        keras.layers.Dense(5),
        at="features",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        transport=losses.ClassTransport(costs, from_logits=True, solver=SOLVER),
    )
    made = model(losses.Coral(), width=8, source_task=task)
    labels = rng.integers(0, 5, size=SAMPLES)
    both = [
        tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH)
        for arrays in ((X, Y), (X[::-1], labels))
    ]
    return made, otreg.data.paired(*both)


def uneven():
    """Batches that no replicas share evenly; the task has no loss."""
    wanted = losses.MaximumMeanDiscrepancy(), losses.Hint(), losses.Coral()
    made = model(*wanted, width=8, task=False)
    # At least the first one is even: Keras takes the shapes from it.
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
    data = data.take(3 * BATCH + 3).batch(BATCH)
    return made, data


CASES = (weighted, unlabelled, joint, uneven)


def strategy(count):
    if count == 1:
        return contextlib.nullcontext
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [f"CPU:{k}" for k in range(count)]
    return tf.distribute.MirroredStrategy(names).scope


def results(case, scope):
    global rng
    rng = np.random.default_rng(1)
    keras.utils.set_random_seed(0)
    with scope():
        made, data = case()
    arrays = data if isinstance(data, tuple) else (data,)
    batch = {"batch_size": BATCH} if isinstance(data, tuple) else {}
    x, y, weight = (*arrays, None, None)[:3]
    history = made.fit(
        x,
        y,
        sample_weight=weight,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        **batch,
    ).history
    found = {f"log {name}": values for name, values in history.items()}
    for variable in made.variables:
        if "seed" not in variable.path:
            found[variable.path] = np.array(variable)
    return found


if __name__ == "__main__":
    count, path, *names = sys.argv[1:]
    scope = strategy(int(count))
    found = {}
    for case in CASES:
        if case.__name__ in names or not names:
            keras.backend.clear_session()
            for name, value in results(case, scope).items():
                found[f"{case.__name__}: {name}"] = value
    np.savez(path, **found)
