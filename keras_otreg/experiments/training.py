"""Repeated training of one network that is compiled once."""

import dataclasses
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_otreg.data import Labelled
from keras_otreg.experiments.problem import HEAD, Problem, Settings
from keras_otreg.experiments.statistics import is_clearly_more
from keras_otreg.interpolation import SHARES
from keras_otreg.models import TransferModel

# Where a method ends: after training, or without it, or between both; or where
# `keras-otreg finetune` does.
END, START, BETWEEN, KEPT = "end", "start", "between", "kept"


class Trainee:
    """A compiled model, and the plain network in it that learns.

    `own` are the student's weights, without those of LoRA; `start` are those to
    start from, if not those of the problem. The layers below the head have the
    share `body` of the learning rate, of which a strength may be a share. With
    `KEPT` the training ends at the start, unless the best between both ends is
    better than it by more than one standard error.
    """

    def __init__(
        self,
        model: keras.Model,
        student: keras.Model,
        settings: Settings,
        own: list[keras.Variable] | None = None,
        *,
        body: float = 1.0,
        start: list[np.ndarray] | None = None,
        ends: str = END,
        scales_rate: bool = False,
    ):
        self.model, self.student, self.ends = model, student, ends
        self._start, self._scales_rate = start, scales_rate
        rate = settings.learning_rate
        adams = [keras.optimizers.Adam(rate) for _ in range(2)]
        optimizer, self._optimizers = adams[0], [(adams[0], 1.0)]
        if body != 1.0:
            self._optimizers.append((adams[1], body))
            heads = {f"(.*/)?{HEAD}/.*": adams[0]}
            optimizer = keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(adams[1], heads)
            )
        model.compile(
            optimizer,
            "sparse_categorical_crossentropy",
            steps_per_execution=settings.steps_per_point,
        )
        model.optimizer.build(model.trainable_variables)
        self._own = list(student.weights) if own is None else own
        known = {id(weight) for weight in self._own}
        # With LoRA the frozen kernels are variables of the student alone.
        others = [*model.optimizer.variables, *model.variables]
        others = [x for x in (*others, *student.weights) if id(x) not in known]
        # What else a training changes, as it is before any step.
        self._fresh = [(x, ops.convert_to_numpy(x)) for x in others]

    def restart(self, weights, rate=None, strength=None):
        """Reset the student to some weights, with a new optimizer."""
        self.set_weights(weights if self._start is None else self._start)
        for variable, value in self._fresh:
            variable.assign(value)
        if rate is not None:
            scale = strength if self._scales_rate else 1.0
            for optimizer, share in self._optimizers:
                optimizer.learning_rate = scale * share * rate
        if strength is not None:
            for penalty in getattr(self.model, "penalties", ()):
                penalty.weight = strength

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Give the student some weights; those of LoRA stay."""
        for variable, value in zip(self._own, weights, strict=True):
            variable.assign(value)

    def weights(self) -> list[np.ndarray]:
        """The weights of the student, without those of LoRA."""
        return [ops.convert_to_numpy(variable) for variable in self._own]


class Outcome(NamedTuple):
    """Accuracies during a training, `(points,)`, and its time alone."""

    curve: np.ndarray
    seconds: float = 0.0


def train(learner, start, few, test, settings, batches=None, **restart):
    """Train on few samples, all in each step, and measure at each point."""
    learner.restart(start, **restart)
    if batches is None:
        batches = tf.data.Dataset.from_tensors(tuple(few)).repeat()
    how = {"steps_per_epoch": settings.steps_per_point, "shuffle": False}
    curve, seconds = [], 0.0
    for _ in range(settings.points):
        begin = time.perf_counter()
        learner.model.fit(batches, verbose=0, **how)
        seconds += time.perf_counter() - begin
        curve.append(accuracy(learner.student, test))
    return Outcome(np.array(curve), seconds)


def accuracy(model: keras.Model, data: Labelled) -> float:
    """Share of samples whose most probable class is their label."""
    return float(np.mean(_is_right(model, data)))


def balanced_accuracy(model: keras.Model, data: Labelled) -> float:
    """Mean over the classes of the accuracy on each of them."""
    is_right = _is_right(model, data)
    classes = np.unique(data.y)
    return float(np.mean([is_right[data.y == c].mean() for c in classes]))


def _is_right(model, data):
    return model.predict_on_batch(data.x).argmax(axis=-1) == data.y


class Trainings:
    """Trainings on one problem, timed without compilation by `warm`."""

    def __init__(self, problem: Problem, warm: bool = False):
        self.problem = problem
        self._warm = warm
        self._latest: tuple[Any, Trainee] | None = None
        self._starts: dict[Any, list[np.ndarray]] = {}

    def train(self, method, strength, seed, data, rate=None):
        """Train on a draw of labels; measure on data, or the pool's rest."""
        problem = self.problem
        settings = problem.settings
        few, others = problem.draw(seed)
        name = method.name, method.is_built_on_labels and seed
        is_new = self._latest is None or self._latest[0] != name
        if is_new:
            # Two of them need not fit into memory.
            self._latest = None
            made = method.learner(problem, strength, few, seed)
            self._latest = name, made
        learner = self._latest[1]
        start = self._start(seed, few, others, method.shares)
        usable = isinstance(learner.model, TransferModel)
        batches = problem.batches(few, others, seed, usable)
        if is_new and self._warm:
            short = dataclasses.replace(
                settings, points=1, steps=settings.steps_per_point
            )
            train(learner, start, few, few, short, batches)
        data = others if data is None else data
        if learner.ends == START:
            learner.restart(start)
            return learner, Outcome(np.array([accuracy(learner.student, data)]))
        rate = settings.learning_rate if rate is None else rate
        how = {"rate": rate, "strength": strength}
        outcome = train(learner, start, few, data, settings, batches, **how)
        if learner.ends in (BETWEEN, KEPT):
            self._interpolate(learner, start)
            last = accuracy(learner.student, data)
            outcome = Outcome(np.array([last]), outcome.seconds)
        if problem.finish is not None:
            problem.finish(learner.student, few)
            outcome.curve[-1] = accuracy(learner.student, data)
        return learner, outcome

    def _start(self, seed, few, others, shares):
        """Weights of a seed; those with a solved head are kept."""
        keras.utils.set_random_seed(seed)
        if not self.problem.solved:
            return self.problem.start()
        key = seed, shares
        if key not in self._starts:
            more = (others.x, shares) if shares else None
            self._starts[key] = self.problem.start(few, more)
            keras.utils.set_random_seed(seed)
        return self._starts[key]

    def _interpolate(self, learner, start):
        """Set the weights between start and end that are best in validation."""
        pairs = [*zip(start, learner.weights(), strict=True)]

        def move(share):
            learner.set_weights([x + share * (y - x) for x, y in pairs])

        def is_right(share):
            move(share)
            return _is_right(learner.student, self.problem.validation)

        found = {share: is_right(share) for share in SHARES}
        best = max(SHARES, key=lambda share: found[share].mean())
        both = found[best], found[SHARES[0]]
        is_kept = learner.ends == BETWEEN or is_clearly_more(*both)
        move(best if is_kept else SHARES[0])
