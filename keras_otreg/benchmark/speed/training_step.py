"""What the regulariser costs a step of training."""

import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_otreg.benchmark.speed import fine_tuning
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.data import with_teacher

PART = "training step"
TRACINGS = 3


def measure(batch: int, size: int, repeats: int) -> Iterator[Row | Claim]:
    """Times steps of EfficientNet-Lite0, plain, wrapped and distilled."""
    x, y = fine_tuning.pictures(batch, size)
    classes = int(y.max()) + 1
    plain = fine_tuning.network(size, classes)
    fine_tuning.compile_(plain)
    wrapped = fine_tuning.compiled(fine_tuning.network(size, classes))
    cached = fine_tuning.compiled(fine_tuning.network(size, classes))
    teacher = wrapped.teacher
    forward = tf.function(lambda x: teacher(x, training=False), autograph=False)
    (stored,) = with_teacher((x, y), cached, batch_size=batch)
    works = {
        "plain": lambda: plain.train_on_batch(x, y),
        "teacher alone": lambda: forward(x),
        "wrapped": lambda: wrapped.train_on_batch(x, y),
        "wrapped, cached": lambda: cached.train_on_batch(*stored),
        "keras Distiller": _distiller(teacher, size, classes, x, y),
    }
    times = interleaved(works, repeats, patience=30.0)
    case = f"EfficientNet-Lite0, {size} pixels, batch {batch}"
    for name, seconds in times.items():
        yield Row(PART, case, name, seconds)
    first = _first_steps(x, y, size, classes)
    tracing = {name: first[name] - times[name] for name in first}
    for name, seconds in tracing.items():
        yield Row(PART, case, f"{name}, tracing", seconds)
    yield from _claims(times, tracing)


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


def _distiller(teacher, size, classes, x, y):
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
    return lambda: distiller.train_on_batch(x, y)
