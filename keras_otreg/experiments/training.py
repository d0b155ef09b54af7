"""Trains one network again and again, compiled once."""

import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_otreg.data import Labelled
from keras_otreg.experiments.settings import Settings


@dataclasses.dataclass(frozen=True)
class Trainee:
    """A compiled model, and the plain network in it that learns.

    Attributes:
        model: What is trained.
        student: What predicts; the same, or inside it.
        fresh: The variables beside the student's weights that a training
            changes, and their values before any step: the optimizer's, those
            of adapters, and what penalties remember.
    """

    model: keras.Model
    student: keras.Model
    fresh: list[tuple[keras.Variable, np.ndarray]]

    def restart(self, weights: list[np.ndarray]) -> None:
        """Goes back to a student with some weights, and a new optimizer."""
        self.student.set_weights(weights)
        for variable, value in self.fresh:
            variable.assign(value)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came out of one training.

    Attributes:
        curve: Accuracies during the training, of shape `(points,)`.
        seconds: Time of the training alone.
    """

    curve: np.ndarray
    seconds: float


def trainee(
    model: keras.Model, student: keras.Model, settings: Settings
) -> Trainee:
    """Compiles a model."""
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        "sparse_categorical_crossentropy",
        steps_per_execution=settings.steps_per_point,
    )
    model.optimizer.build(model.trainable_variables)
    own = {id(weight) for weight in student.weights}
    others = [x for x in model.variables if id(x) not in own]
    fresh = [
        (variable, ops.convert_to_numpy(variable))
        for variable in (*model.optimizer.variables, *others)
    ]
    return Trainee(model, student, fresh)


def train(
    learner: Trainee,
    start: list[np.ndarray],
    few: Labelled,
    test: Labelled,
    settings: Settings,
    batches: tf.data.Dataset | None = None,
) -> Outcome:
    """Trains on a few samples, all of them in each step.

    Args:
        learner: What to train.
        start: Weights of the student to start from.
        few: The samples to learn from.
        test: The samples to measure the accuracy on.
        settings: How long.
        batches: What to give to `fit` instead of those samples.

    Returns:
        The `Outcome`; the learner's student stays as it ended.
    """
    learner.restart(start)
    steps = settings.steps_per_point
    batches = _endless(few) if batches is None else batches
    curve, seconds = [], 0.0
    for _ in range(settings.points):
        begin = time.perf_counter()
        learner.model.fit(
            batches, steps_per_epoch=steps, shuffle=False, verbose=0
        )
        seconds += time.perf_counter() - begin
        curve.append(accuracy(learner.student, test))
    return Outcome(np.array(curve), seconds)


def _endless(few):
    return tf.data.Dataset.from_tensors(tuple(few)).repeat()


def accuracy(model: keras.Model, data: Labelled) -> float:
    """Share of samples whose most probable class is their label."""
    probabilities = model.predict_on_batch(data.x)
    return float(np.mean(probabilities.argmax(axis=-1) == data.y))
