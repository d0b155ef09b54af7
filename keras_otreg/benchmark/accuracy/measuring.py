"""Measures the methods on one task, each cell once."""

import functools
from collections.abc import Callable

from keras_otreg.benchmark.accuracy.cells import REPORT, TRIAL, Cell, Cells
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.entries import Entry
from keras_otreg.experiments.choosing import chosen
from keras_otreg.experiments.methods import (
    Method,
    is_built_on_labels,
    learner,
    penalties,
)
from keras_otreg.experiments.problem import Problem, Trainings
from keras_otreg.experiments.training import accuracy
from keras_otreg.features import capture
from keras_otreg.ot import permuted_fraction
from keras_otreg.ot.plan import entropy_of

# Samples that the plan between two layers is seen on.
SEEN = 128


class Measuring:
    """Measures methods on one task.

    Args:
        comparison: The protocol.
        task: The task.
        cells: Where the results are kept; what is there is not measured.
        problem: Prepares the task; called if something is to be measured.
        advance: Called for each cell.
    """

    def __init__(
        self,
        comparison: Comparison,
        task: Entry,
        cells: Cells,
        problem: Callable[[], Problem],
        advance: Callable[[], None],
    ):
        self.comparison = comparison
        self.task = task
        self.cells = cells
        self.problem = problem
        self.advance = advance
        self._trainings = functools.cache(lambda: Trainings(problem()))

    def measure(self, method: Method) -> None:
        """Chooses a strength on validation data, and reports on the rest."""

        def validation(seed, strength):
            return self._cell(method, TRIAL, seed, strength).validation

        trials = self.comparison.choosing_seeds(self.task)
        strength = chosen(method.strengths, trials, validation)
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
        trainings = self._trainings()
        problem = trainings.problem
        draw = seed if is_built_on_labels(method) else None
        trainee, outcome = trainings.train(
            (method.name, strength, draw),
            lambda few: learner(method, problem, strength, few),
            seed,
            problem.validation,
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
