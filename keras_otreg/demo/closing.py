"""Says what the results show, from the results alone."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from keras_otreg.demo.methods import ALIGNMENT, BASELINES, TRANSPORT
from keras_otreg.demo.pictures import AFTER, BEFORE, SAME
from keras_otreg.demo.results import Result
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.task import Task
from keras_otreg.plots.plan import row_shares

# With fewer seeds, a standard error is itself mostly luck.
FEWEST = 5


def how_measured(task: Task, settings: Settings) -> str:
    """What the numbers of the table are."""
    labels = len(np.unique(task.pool.y)) * settings.per_class
    return (
        f"Mean and standard deviation over {settings.seeds} draws of {labels} "
        f"labels, {settings.steps} steps each; accuracy on "
        f"{len(task.test.y)} test digits; seconds are per training."
    )


def how_strong(settings: Settings) -> str:
    """Where the strengths in the table come from."""
    if not settings.strengths:
        return "Strengths are the package's defaults; nothing was chosen."
    grid = ", ".join(f"{strength:g}" for strength in settings.strengths)
    return (
        f"Each strength was chosen among {grid} with {settings.draws} other "
        "draws of labels, by the accuracy on the training labels not drawn; "
        "the test set had no part in it."
    )


def conclusions(results: Sequence[Result]) -> Iterator[str]:
    """Sentences on which method is ahead, for each student."""
    for student, baseline in BASELINES.items():
        group = [x for x in results if x.student == student]
        yield best(student, group)
        for result in group:
            if result.method in (TRANSPORT, ALIGNMENT):
                yield _against(result, _named(group, baseline), student)


def best(student: str, group: Sequence[Result]) -> str:
    """Which method is ahead, and which cannot be told from it."""
    leader = max(group, key=lambda result: result.mean)
    text = f"{_capital(student)}: {leader.method} has the highest mean, "
    text += f"{leader.mean:.3f}"
    if len(leader.accuracies) < FEWEST:
        return f"{text}; so few seeds cannot tell what is luck."
    near = [x.method for x in group if x is not leader and _tied(leader, x)]
    if near:
        return f"{text}; not clearly apart from it: {', '.join(near)}."
    return f"{text}, clearly apart from the rest."


def _against(result, baseline, student):
    gaps = result.accuracies - baseline.accuracies
    return (
        f"{_capital(student)}: {result.method} minus {baseline.method} is "
        f"{gaps.mean():+.3f} on average, and above zero for "
        f"{int((gaps > 0).sum())} of {len(gaps)} seeds."
    )


def _tied(best, other):
    """Whether the seeds leave it open which of two is better."""
    gaps = best.accuracies - other.accuracies
    standard_error = gaps.std(ddof=1) / math.sqrt(len(gaps))
    return bool(gaps.mean() <= 2.5 * standard_error)


def _capital(text):
    return text[0].upper() + text[1:]


def _named(group, method):
    return next(x for x in group if x.method == method)


def captions(plans: Mapping[str, np.ndarray]) -> Iterator[str]:
    """What the pictures show."""
    yield (
        "learning_curves.png: mean test accuracy over the steps, with a band "
        "of one standard deviation over the seeds."
    )
    sharp = {title: _sharp(plan) for title, plan in plans.items()}
    partners = plans[SAME].argmax(axis=1)
    own = partners == np.arange(len(partners))
    yield (
        f"plan.png, {SAME}: {_count(sharp[SAME])} teacher neurons go by more "
        "than half to one student neuron, "
        f"{int((sharp[SAME] & own).sum())} of them to their own copy."
    )
    yield (
        f"plan.png: a quarter as wide, {_count(sharp[BEFORE])} teacher neurons "
        f"did so before training, {_count(sharp[AFTER])} do after it."
    )


def _sharp(plan):
    """Which teacher neurons go by more than half to one student neuron."""
    return row_shares(plan).max(axis=1) > 0.5


def _count(flags):
    return f"{int(flags.sum())} of {len(flags)}"
