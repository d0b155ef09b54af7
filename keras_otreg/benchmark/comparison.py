"""A comparison: tasks and methods, and the protocol."""

import abc
import collections
import dataclasses
import hashlib
import json
import pathlib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NewType

import numpy as np

from keras_otreg import checks
from keras_otreg.benchmark.cells import REPORT, TRIAL
from keras_otreg.data import Labelled
from keras_otreg.data.splits import check_draw
from keras_otreg.experiments.methods import Method
from keras_otreg.experiments.problem import Problem, Settings
from keras_otreg.experiments.statistics import chosen, searched
from keras_otreg.experiments.training import START

# Where students start: the teacher under a solved head, or random weights.
SOLVED, RANDOM = "solved", "random"
# Learning rates are searched from here, by these steps; strengths by powers.
RATE, STEP, POWER = 10**-3.5, 10**0.5, 10.0
# A whole number from 0.
Natural = NewType("Natural", int)


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A task: its name, and the settings of each training.

    There are some `labels` of each class; of the last class `ratio` times
    fewer, as also in the test data. Students `start` with a solved head, or a
    random one and the given learning rate. A task may have `seeds`, `draws` and
    `methods` of its own.
    """

    name: str
    labels: int
    start: Literal["solved", "random"] = SOLVED
    ratio: float = 1.0
    steps: int = 150
    learning_rate: float = 1e-3
    seeds: int | None = None
    draws: int | None = None
    methods: tuple[str, ...] = ()
    quick: bool = False

    @property
    def drawn(self) -> str:
        """Description of the labels."""
        if self.ratio == 1.0:
            return f"{self.labels} labels a class"
        return (
            f"{self.labels} labels of the first class and {self.ratio:g} times "
            "fewer of the last, as also in the test data"
        )

    @property
    @abc.abstractmethod
    def about(self) -> str:
        """Description in a sentence."""

    @property
    @abc.abstractmethod
    def offers(self) -> tuple[str, ...]:
        """What the task offers of what methods need."""

    def common(self, seed: int, pool: Labelled) -> dict[str, Any]:
        """Arguments of a `Problem` that all kinds of tasks have."""
        counts = collections.Counter(pool.y.tolist())
        check_draw(self.labels, counts, f"{self.name}: labels")
        own = {"steps": self.steps, "learning_rate": self.learning_rate}
        settings = Settings(seed=seed, points=1, per_class=self.labels, **own)
        start = {"solved": self.start == SOLVED, "ratio": self.ratio}
        return {"settings": settings, "pool": pool, **start}

    @abc.abstractmethod
    def problem(
        self, seed: int, folder: pathlib.Path, data: pathlib.Path | None
    ) -> Problem:
        """Prepare the transfer; `folder` keeps what several tasks use."""

    def missing(self, data: pathlib.Path | None) -> str:
        """Why the task is to be skipped, if its data are not there."""
        return ""

    def pictures(self, data: pathlib.Path) -> dict[str, pathlib.Path]:
        """The folders of pictures that the task reads, by their names."""
        return {}


class Choice(NamedTuple):
    """What was chosen by trials, and whether it is `inside` of what was."""

    strength: float | None
    rate: float | None
    inside: bool


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Tasks and methods, of which each pair is measured by one protocol.

    Methods are compared with `baseline` and `shown`, on `seeds` draws of labels
    from `seed` on. Their settings are the best of as many `trials`, each on
    other `draws` of labels.
    """

    tasks: tuple[Task, ...]
    methods: tuple[Method, ...]
    baseline: str = "plain"
    shown: str = "transport"
    seeds: int = 5
    seed: Natural = 0
    draws: int = 3
    trials: int = 7

    def methods_of(self, task: Task) -> Iterator[Method]:
        """The methods that can be used on a task, and are wanted there."""
        for method in self.methods:
            wanted = not task.methods or method.name in task.methods
            if wanted and set(method.needs) <= set(task.offers):
                yield method

    def reported_seeds(self, task: Task) -> range:
        """Seeds of the trainings whose test accuracy is reported."""
        return range(self.seed, self.seed + (task.seeds or self.seeds))

    def choosing_seeds(self, task: Task) -> range:
        """Seeds of the trials that choose strengths, which are not reported."""
        # Far off, so that more reported seeds change no choice.
        first = self.seed + 10_000
        return range(first, first + (task.draws or self.draws))

    def choice(self, task, method, validation):
        """Choose the strength and the learning rate by accuracies of trials."""
        seeds = self.choosing_seeds(task)
        grid = method.strengths
        if task.start == RANDOM:
            strength = chosen(grid, seeds, lambda *x: validation(*x, None))
            inside = len(grid) < 2 or strength not in (grid[0], grid[-1])
            return Choice(strength, None, inside)
        if method.ends == START:
            return Choice(None, None, True)
        axes = [(RATE, STEP)]
        if grid:
            factor = grid[1] / grid[0] if len(grid) > 1 else POWER
            axes.append((method.middle[0], factor))

        def mean(values):
            # Without a grid there is no strength.
            rate, strength, *_ = (*values, None)
            return np.mean([validation(x, strength, rate) for x in seeds])

        values, inside = searched(axes, mean, self.trials)
        rate, strength, *_ = (*values, None)
        return Choice(strength, rate, inside)

    def measured(self, task, method, cell):
        """Return what is chosen, and the `cell` of each reported training."""
        choice = self.choice(
            task, method, lambda *each: cell(TRIAL, *each).validation
        )
        return choice, [
            cell(REPORT, seed, choice.strength, choice.rate)
            for seed in self.reported_seeds(task)
        ]

    def trainings(self, task: Task) -> int:
        """Number of trainings of a task."""
        asked = []

        def cell(*identity):
            asked.append(identity)
            return types.SimpleNamespace(validation=0.0)

        for method in self.methods_of(task):
            self.measured(task, method, cell)
        return len(asked)

    def key(self, task: Task, method: Method) -> str:
        """Digest of the settings of a training that are not defaults."""
        ignored = ("seeds", "draws", "methods", "strengths", "quick")
        settings = [
            {
                field.name: getattr(x, field.name)
                for field in dataclasses.fields(x)
                if field.name not in ignored
                and getattr(x, field.name) not in (field.default, {})
            }
            for x in (task, method)
        ]
        text = json.dumps([settings, self.seed], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def quick(comparison: Comparison) -> Comparison:
    """A part of a comparison that takes minutes, and chooses nothing."""
    if not any(task.quick for task in comparison.tasks):
        raise checks.invalid(
            "a task with `quick: true` for --quick",
            "none",
            "Add it to the task that is done soonest",
        )
    needed = (comparison.baseline, comparison.shown)
    tasks = tuple(
        dataclasses.replace(task, steps=min(task.steps, 40), seeds=2, draws=1)
        for task in comparison.tasks
        if task.quick
    )
    methods = tuple(
        dataclasses.replace(method, strengths=method.middle)
        for method in comparison.methods
        if method.quick or method.name in needed
    )
    return dataclasses.replace(
        comparison, tasks=tasks, methods=methods, trials=1
    )


def only(comparison: Comparison, *names: str) -> Comparison:
    """A comparison on some of its tasks."""
    tasks = {task.name: task for task in comparison.tasks}
    chosen = (tasks[checks.one_of(x, tasks, "--only")] for x in names)
    return dataclasses.replace(comparison, tasks=tuple(chosen))


def restricted(
    comparison: Comparison,
    is_quick: bool,
    names: Sequence[str],
    seeds: Mapping[str, int | None],
) -> Comparison:
    """What the options of a command leave of a comparison, and its seeds."""
    if is_quick:
        comparison = quick(comparison)
    if names:
        comparison = only(comparison, *names)
    changed: Any = {k: x for k, x in seeds.items() if x is not None}
    return dataclasses.replace(comparison, **changed)
