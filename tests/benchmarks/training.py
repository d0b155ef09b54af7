"""Times a fine-tuning step of EfficientNet-Lite0, and counts along a run."""

import functools
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from results import Claim, interleaved, row

from keras_otreg.data import efficientnet_lite0, letters, with_teacher
from keras_otreg.losses import RepresentationTransport
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.ot import Sinkhorn

AT, TITLE = "avg_pool", "training step"


def pictures(count, size):
    """Printed letters, as pictures of an ImageNet network, and their labels."""
    data = letters()
    drawn = np.random.default_rng(0).choice(len(data.x), count, replace=False)
    x = np.repeat(np.asarray(data.x)[drawn].reshape(count, 28, 28, 1), 3, -1)
    x = 255.0 * x / max(float(x.max()), 1.0)
    resized = ops.image.resize(x.astype("float32"), (size, size))
    return np.asarray(resized), np.asarray(data.y)[drawn]


def compiled(model):
    model.compile(
        keras.optimizers.Adam(3e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def network(size, classes):
    """EfficientNet-Lite0 with a head for a new task."""
    base = efficientnet_lite0((size, size, 3), include_top=False, pooling="avg")
    head = keras.layers.Dense(classes, name="head")
    return compiled(keras.Model(base.input, head(base.output)))


def wrapped(size, classes):
    """The same, with one transport penalty at its last layer of features."""
    penalty = Penalty(RepresentationTransport(), at=AT)
    return compiled(TransferModel(network(size, classes), penalties=[penalty]))


def distilled(teacher, size, classes):
    """The same in Keras's `Distiller`."""
    loss = keras.distillation.FeatureDistillation("mse", AT, AT)
    student = network(size, classes)
    return compiled(keras.distillation.Distiller(teacher, student, loss))


def step(batch, size, repeats):
    """Times steps, plain, wrapped and distilled, and their tracing."""
    # Steps are over different batches, each read when it is its turn.
    x, y = pictures(4 * batch, size)
    classes = int(y.max()) + 1
    ours, cached = wrapped(size, classes), wrapped(size, classes)
    teacher = ours.teacher
    forward = tf.function(lambda x: teacher(x, training=False), autograph=False)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0)
    data = data.batch(batch).prefetch(tf.data.AUTOTUNE)
    kept = with_teacher((x, y), cached, batch_size=batch)
    works = {
        "plain": over(data, network(size, classes).train_on_batch),
        "teacher alone": over(data, lambda x, y: forward(x)),
        "wrapped": over(data, ours.train_on_batch),
        "wrapped, cached": over(kept, cached.train_on_batch),
        "keras Distiller": over(
            data, distilled(teacher, size, classes).train_on_batch
        ),
    }
    times = interleaved(works, repeats, patience=30.0)
    first = _first_steps(x[:batch], y[:batch], size, classes)
    tracing = {f"{name}, tracing": first[name] - times[name] for name in first}
    case = f"EfficientNet-Lite0, {size} pixels, batch {batch}"
    for name, seconds in {**times, **tracing}.items():
        yield row(TITLE, on=case, by=name, time=seconds)
    yield from of_step({**times, **tracing})


def over(data, take):
    """Makes a work of the next step over some data, as `fit` would take it."""
    batches = iter(data.repeat())
    return lambda: take(*next(batches))


def _first_steps(x, y, size, classes, repeats=3):
    """The fastest first step of new models, made in turn."""
    times = {"plain": [], "wrapped": []}
    for _ in range(repeats):
        for name, make in (("plain", network), ("wrapped", wrapped)):
            model = make(size, classes)
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def of_step(times):
    """What the regulariser may cost a step."""
    plain, ours = times["plain"], times["wrapped"]
    for text, ratio, most in (
        ("plain step + teacher", ours / (plain + times["teacher alone"]), 1.05),
        (
            "plain step, with the teacher cached",
            times["wrapped, cached"] / plain,
            1.05,
        ),
        ("Distiller's step", ours / times["keras Distiller"], 0.65),
        (
            "plain tracing",
            times["wrapped, tracing"] / times["plain, tracing"],
            1.3,
        ),
    ):
        yield Claim(
            f"Step: at most {most:g} times the {text}",
            f"{ratio:.3f} times",
            ratio <= most,
        )


@functools.cache
def recorded(steps=40, batch=32, size=64):
    """Both networks' activations on the batches of a run with transport."""
    x, y = pictures(steps * batch, size)
    model = wrapped(size, int(y.max()) + 1)
    features = [
        keras.Model(m.input, m.get_layer(AT).output)
        for m in (model.teacher, model.student)
    ]
    found = []
    for k in range(steps):
        part = slice(k * batch, (k + 1) * batch)
        found.append([m.predict_on_batch(x[part]) for m in features])
        model.train_on_batch(x[part], y[part])
    return found


COLD, SAME, WARM = (
    "plain, cold",
    "running costs, cold",
    "running costs, warm (default)",
)
# Momentum, whether accelerated, whether from the last potentials. The first
# three are on the costs of each batch.
STARTS = {
    COLD: (0.0, False, False),
    "accelerated, cold": (0.0, True, False),
    "accelerated, warm": (0.0, True, True),
    "running costs, plain, cold": (0.9, False, False),
    SAME: (0.9, True, False),
    WARM: (0.9, True, True),
}
TOLERANCE, SETTLED = 1e-2, 20


class _Counting:
    """A solver that counts its iterations."""

    def __init__(self, accelerated):
        self.solver = Sinkhorn(1000, TOLERANCE, accelerated)
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
    return loss, memory


def warm_starts(steps):
    """Counts iterations along a run, from several starts."""
    n, m = (s.shape[-1] for s in steps[0])
    losses = {name: _loss(n, m, *how) for name, how in STARTS.items()}
    for activations in steps:
        for loss, memory in losses.values():
            loss(*map(ops.convert_to_tensor, activations), memory=memory)
    medians = {
        name: statistics.median(loss.solver.counts[SETTLED:])
        for name, (loss, _) in losses.items()
    }
    title = f"iterations to {TOLERANCE:g} in training"
    for name, median in medians.items():
        yield row(title, on=f"{n} neurons", by=name, iterations=median)
    yield from of_warm_starts(title, medians)


def of_warm_starts(title, medians):
    """What the last potentials save, by the median iterations."""
    warm = medians[WARM]
    yield Claim(
        f"{title}, by default: at most 8 from the last potentials",
        f"{warm:g}",
        warm <= 8,
    )
    yield Claim(
        f"{title}, by default: 5 times fewer than a plain cold start",
        f"{medians[COLD] / warm:.1f} times; {medians[SAME] / warm:.1f} times "
        "fewer than the same solver started cold",
        medians[COLD] >= 5 * warm,
    )
