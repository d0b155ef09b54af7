"""Repeated training of one network that is compiled once."""

import dataclasses
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_otreg.data import Labelled, few_shot
from keras_otreg.experiments.problem import Problem
from keras_otreg.experiments.settings import Settings
from keras_otreg.heads import solve_head
from keras_otreg.models import TransferModel


@dataclasses.dataclass(frozen=True)
class Trainee:
    """A compiled model, and the plain network in it that learns.

    `fresh` has the variables beside the student's weights that a training
    changes, with their values before any step: those of the optimizer and of
    adapters, and the state of penalties. `start` has the student's weights to
    start from, if they are not those of the problem.
    """

    model: keras.Model
    student: keras.Model
    fresh: list[tuple[keras.Variable, np.ndarray]]
    start: list[np.ndarray] | None = None

    def restart(self, weights: list[np.ndarray]) -> None:
        """Reset the student to some weights, with a new optimizer."""
        self.student.set_weights(weights if self.start is None else self.start)
        for variable, value in self.fresh:
            variable.assign(value)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Accuracies during a training, `(points,)`, and its time alone."""

    curve: np.ndarray
    seconds: float


def trainee(
    model: keras.Model,
    student: keras.Model,
    settings: Settings,
    start: list[np.ndarray] | None = None,
    rate: float = 1.0,
) -> Trainee:
    """Compile a model around a student, with a share of the learning rate."""
    model.compile(
        keras.optimizers.Adam(rate * settings.learning_rate),
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
    return Trainee(model, student, fresh, start)


def train(
    learner: Trainee,
    start: list[np.ndarray],
    few: Labelled,
    test: Labelled,
    settings: Settings,
    batches: tf.data.Dataset | None = None,
) -> Outcome:
    """Train on a few samples, and measure the accuracy on others at each point.

    All samples are in each step, unless there are `batches`. The student
    begins with the weights `start`, and stays as it ended.
    """
    learner.restart(start)
    if batches is None:
        batches = tf.data.Dataset.from_tensors(tuple(few)).repeat()
    curve, seconds = [], 0.0
    for _ in range(settings.points):
        begin = time.perf_counter()
        learner.model.fit(
            batches,
            steps_per_epoch=settings.steps_per_point,
            shuffle=False,
            verbose=0,
        )
        seconds += time.perf_counter() - begin
        curve.append(accuracy(learner.student, test))
    return Outcome(np.array(curve), seconds)


def accuracy(model: keras.Model, data: Labelled) -> float:
    """Share of samples whose most probable class is their label."""
    probabilities = model.predict_on_batch(data.x)
    return float(np.mean(probabilities.argmax(axis=-1) == data.y))


class Trainings:
    """Trainings on one problem, which share a learner where they can.

    A `warm` one trains a new learner a little first, so that its compilation
    is not counted as training.
    """

    def __init__(self, problem: Problem, warm: bool = False):
        self.problem = problem
        self._warm = warm
        self._latest: tuple[Any, Trainee] | None = None

    def train(
        self,
        method: Any,
        strength: float | None,
        seed: int,
        data: Labelled | None,
    ) -> tuple[Trainee, Outcome]:
        """Train on a draw of labels, from weights of the same seed.

        The method has a `name`, a `learner` and `is_built_on_labels`. The
        accuracy is measured on the data; on the rest of the pool if `None`.
        """
        problem = self.problem
        settings = problem.settings
        few, others = few_shot(*problem.pool, settings.per_class, seed)
        name = method.name, strength, method.is_built_on_labels and seed
        is_new = self._latest is None or self._latest[0] != name
        if is_new:
            # Two of them need not fit into memory.
            self._latest = None
            made = method.learner(problem, strength, few, seed)
            self._latest = name, made
        learner = self._latest[1]
        keras.utils.set_random_seed(seed)
        start = problem.start()
        if problem.solved:
            learner.student.set_weights(start)
            solve_head(learner.student, *problem.samples(few))
            start = learner.student.get_weights()
        usable = isinstance(learner.model, TransferModel)
        batches = problem.batches(few, others, seed, usable)
        if is_new and self._warm:
            short = dataclasses.replace(
                settings, points=1, steps=settings.steps_per_point
            )
            train(learner, start, few, few, short, batches)
        data = others if data is None else data
        return learner, train(learner, start, few, data, settings, batches)
