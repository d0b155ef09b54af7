"""A comparison: which tasks, which methods, by which protocol."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator

from keras_otreg import checks
from keras_otreg.benchmark.accuracy.tasks import Entry
from keras_otreg.experiments.methods import Method


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How each method is measured.

    Attributes:
        baseline: Name of the method that others are compared with.
        shown: Name of a second method that others are compared with.
        seeds: How many draws of labels and of new weights to report.
        seed: The first of them; also the seed of the source networks.
        draws: Draws of labels that each strength is tried with: others.
    """

    baseline: str = "plain"
    shown: str = "transport"
    seeds: int = 5
    seed: int = 0
    draws: int = 3


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Tasks and methods, of which each pair is measured by a protocol."""

    protocol: Protocol
    tasks: tuple[Entry, ...]
    methods: tuple[Method, ...]

    def methods_of(self, task: Entry) -> Iterator[Method]:
        """The methods that can be used on a task, and are wanted there."""
        for method in self.methods:
            wanted = not task.methods or method.name in task.methods
            if wanted and set(method.needs) <= set(task.offers):
                yield method

    def reported_seeds(self, task: Entry) -> range:
        """Seeds of the trainings whose test accuracy is reported."""
        first = self.protocol.seed
        return range(first, first + (task.seeds or self.protocol.seeds))

    def choosing_seeds(self, task: Entry) -> range:
        """Seeds of the trials that strengths are chosen by: others."""
        # Far off, so that more reported seeds change no choice.
        first = self.protocol.seed + 10_000
        return range(first, first + (task.draws or self.protocol.draws))

    def trainings(self, task: Entry) -> int:
        """How many trainings a task takes."""
        draws = len(self.choosing_seeds(task))
        counts = [len(x.strengths) for x in self.methods_of(task)]
        trials = draws * sum(count for count in counts if count > 1)
        return len(self.reported_seeds(task)) * len(counts) + trials

    def key(self, task: Entry, method: Method) -> str:
        """A short text that changes with the settings of a training."""
        settings = [
            {k: v for k, v in vars(x).items() if k not in ignored}
            for x, ignored in (
                (task, ("seeds", "draws", "methods", "quick")),
                (method, ("strengths", "quick")),
            )
        ]
        text = json.dumps(
            [settings, self.protocol.seed], sort_keys=True, default=str
        )
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def quick(comparison: Comparison) -> Comparison:
    """A part of a comparison that takes minutes: fewer and shorter runs.

    Nothing is chosen: each method has the middle one of its strengths. Both
    methods that others are compared with are part of any.
    """
    if not any(task.quick for task in comparison.tasks):
        raise checks.invalid(
            "a task with `quick: true` for --quick",
            "none",
            "Add it to the task that is done soonest",
        )
    protocol = comparison.protocol
    needed = (protocol.baseline, protocol.shown)
    tasks = tuple(
        dataclasses.replace(task, steps=min(task.steps, 40), seeds=2, draws=1)
        for task in comparison.tasks
        if task.quick
    )
    methods = tuple(
        dataclasses.replace(method, strengths=_middle(method.strengths))
        for method in comparison.methods
        if method.quick or method.name in needed
    )
    return Comparison(protocol, tasks, methods)


def only(comparison: Comparison, name: str) -> Comparison:
    """A comparison on one of its tasks."""
    names = [task.name for task in comparison.tasks]
    checks.one_of(name, names, "--only")
    task = comparison.tasks[names.index(name)]
    return dataclasses.replace(comparison, tasks=(task,))


def _middle(strengths):
    half = len(strengths) // 2
    return strengths[half : half + 1]
