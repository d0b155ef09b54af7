"""What the regulariser costs a step of training."""

import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_otreg.benchmark.speed import fine_tuning
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.data import with_teacher

PART = "training step"


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
    first = {}
    for name, model in (("plain", plain), ("wrapped", wrapped)):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        first[name] = time.perf_counter() - start
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
    for name, seconds in first.items():
        yield Row(PART, case, f"{name}, tracing", seconds - times[name])
    yield from _claims(times, first)


def _claims(times, first):
    sum_ = times["plain"] + times["teacher alone"]
    tracing = {name: first[name] - times[name] for name in first}
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
