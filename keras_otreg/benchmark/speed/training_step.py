"""What the regulariser costs a step of training."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_otreg.benchmark.speed import fine_tuning
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.data import with_teacher

PART = "training step"
TRACINGS = 3
# Steps are over different ones, each read when it is its turn.
BATCHES = 4

Work = Callable[[], Any]


def measure(batch: int, size: int, repeats: int) -> Iterator[Row | Claim]:
    """Times steps of EfficientNet-Lite0, plain, wrapped and distilled."""
    x, y = fine_tuning.pictures(BATCHES * batch, size)
    classes = int(y.max()) + 1
    plain = fine_tuning.network(size, classes)
    fine_tuning.compile_(plain)
    wrapped = fine_tuning.compiled(fine_tuning.network(size, classes))
    cached = fine_tuning.compiled(fine_tuning.network(size, classes))
    teacher = wrapped.teacher
    forward = tf.function(lambda x: teacher(x, training=False), autograph=False)
    distilled = _distiller(teacher, size, classes)
    data = _batches(x, y, batch)
    works = {
        "plain": over(data, plain.train_on_batch),
        "teacher alone": over(data, lambda x, y: forward(x)),
        "wrapped": over(data, wrapped.train_on_batch),
        "wrapped, cached": over(
            with_teacher((x, y), cached, batch_size=batch),
            cached.train_on_batch,
        ),
        "keras Distiller": over(data, distilled.train_on_batch),
    }
    times = interleaved(works, repeats, patience=30.0)
    case = f"EfficientNet-Lite0, {size} pixels, batch {batch}"
    for name, seconds in times.items():
        yield Row(PART, case, name, seconds)
    first = _first_steps(x[:batch], y[:batch], size, classes)
    tracing = {name: first[name] - times[name] for name in first}
    for name, seconds in tracing.items():
        yield Row(PART, case, f"{name}, tracing", seconds)
    yield from _claims(times, tracing)


def over(data: tf.data.Dataset, step: Callable[..., Any]) -> Work:
    """Makes a work of the next step over some data, as `fit` would take it.

    Args:
        data: Batches, of which there is always another.
        step: Takes what is in a batch.
    """
    batches = iter(data.repeat())
    return lambda: step(*next(batches))


def _batches(x, y, size):
    """What `with_teacher` does with arrays, without a teacher."""
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.shuffle(len(x), seed=0).batch(size)
    return data.prefetch(tf.data.AUTOTUNE)


def _first_steps(x, y, size, classes):
    """The fastest first step of new models, made in turn."""

    def plain():
        model = fine_tuning.network(size, classes)
        fine_tuning.compile_(model)
        return model

    def wrapped():
        return fine_tuning.compiled(fine_tuning.network(size, classes))

    times = {"plain": [], "wrapped": []}
    for _ in range(TRACINGS):
        for make in (plain, wrapped):
            model = make()
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[make.__name__].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def _claims(times, tracing):
    sum_ = times["plain"] + times["teacher alone"]
    for text, ratio, most in (
        ("plain step + teacher", times["wrapped"] / sum_, 1.05),
        (
            "plain step, with the teacher cached",
            times["wrapped, cached"] / times["plain"],
            1.05,
        ),
        (
            "Distiller's step",
            times["wrapped"] / times["keras Distiller"],
            0.65,
        ),
        ("plain tracing", tracing["wrapped"] / tracing["plain"], 1.3),
    ):
        yield Claim(
            f"Step: at most {most:g} times the {text}",
            f"{ratio:.3f} times",
            ratio <= most,
        )


def _distiller(teacher, size, classes):
    distiller = keras.distillation.Distiller(
        teacher=teacher,
        student=fine_tuning.network(size, classes),
        distillation_losses=keras.distillation.FeatureDistillation(
            loss="mse",
            teacher_layer_name=fine_tuning.AT,
            student_layer_name=fine_tuning.AT,
        ),
    )
    fine_tuning.compile_(distiller)
    return distiller
