"""Measures the methods on one task, each cell once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from keras_otreg.benchmark.accuracy.cells import REPORT, TRIAL, Cell, Cells
from keras_otreg.benchmark.accuracy.choosing import chosen
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.entries import Entry, Method
from keras_otreg.benchmark.accuracy.learners import (
    is_built_on_labels,
    learner,
    penalties,
)
from keras_otreg.benchmark.accuracy.problem import Problem
from keras_otreg.data import few_shot
from keras_otreg.demo.training import Trainee, accuracy, train
from keras_otreg.features import capture
from keras_otreg.models import TransferModel
from keras_otreg.ot import permuted_fraction
from keras_otreg.ot.plan import entropy_of

# Samples that the plan between two layers is seen on.
SEEN = 128


@dataclasses.dataclass(frozen=True)
class Measuring:
    """Measures methods on one task.

    Attributes:
        comparison: The protocol.
        task: The task.
        cells: Where the results are kept; what is there is not measured.
        problem: Prepares the task; called if something is to be measured.
        advance: Called for each cell.
    """

    comparison: Comparison
    task: Entry
    cells: Cells
    problem: Callable[[], Problem]
    advance: Callable[[], None]
    _latest: dict[Any, Trainee] = dataclasses.field(
        default_factory=dict, init=False
    )

    def measure(self, method: Method) -> None:
        """Chooses a strength on validation data, and reports on the rest."""

        def validation(seed, strength):
            return self._cell(method, TRIAL, seed, strength).validation

        strength = chosen(self.comparison, self.task, method, validation)
        for seed in self.comparison.reported_seeds(self.task):
            self._cell(method, REPORT, seed, strength)

    def _cell(self, method, phase, seed, strength):
        key = self.comparison.key(self.task, method)
        identity = (self.task.name, method.name, phase, seed, strength, key)
        cell = self.cells.find(*identity)
        if cell is None:
            cell = Cell(
                *identity, **self._trained(method, phase, seed, strength)
            )
            self.cells.add(cell)
        self.advance()
        return cell

    def _trained(self, method, phase, seed, strength):
        problem = self.problem()
        few, others = few_shot(*problem.pool, self.task.labels, seed)
        trainee = self._learner(method, strength, few, seed)
        keras.utils.set_random_seed(seed)
        start = problem.start()
        usable = isinstance(trainee.model, TransferModel)
        batches = problem.batches(few, others, seed, usable)
        outcome = train(
            trainee, start, few, problem.validation, problem.settings, batches
        )
        found = {
            "validation": float(outcome.curve[-1]),
            "seconds": outcome.seconds,
        }
        if phase == REPORT:
            found["test"] = accuracy(trainee.student, problem.test)
            if method.name == self.comparison.protocol.shown:
                found |= _plan_in_numbers(method, problem, trainee.student)
        return found

    def _learner(self, method, strength, few, seed):
        """The latest learner again, if it is the same but for the seed."""
        draw = seed if is_built_on_labels(method) else None
        name = (method.name, strength, draw)
        if name not in self._latest:
            self._latest.clear()
            made = learner(method, self.problem(), strength, few)
            self._latest[name] = made
        return self._latest[name]


def _plan_in_numbers(method, problem, student):
    """How blurred the plan is, and whether neurons stay in their places."""
    pairs = problem.places["penultimate"]
    loss, (at, teacher_at) = penalties(method, pairs, 1.0)[0].loss, pairs[0]
    x = problem.validation.x[:SEEN]
    _, ours = capture(student, x, [at], training=False)
    _, theirs = capture(problem.teacher, x, [teacher_at], training=False)
    plan = loss.plan(theirs[teacher_at], ours[at])
    found = {"entropy": float(entropy_of(plan)), "moved": None}
    if problem.pretrained:
        found["moved"] = float(permuted_fraction(plan))
    return found
