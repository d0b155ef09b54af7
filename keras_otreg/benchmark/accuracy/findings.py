"""Says where transport wins and where not, from the results alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.reasons import reasons
from keras_otreg.benchmark.accuracy.summary import (
    Summary,
    mean_ranks,
    ranks,
)
from keras_otreg.benchmark.accuracy.tables import in_words
from keras_otreg.experiments.intervals import interval

VERDICTS = {
    "better": "above zero",
    "level": "on both sides of zero",
    "worse": "below zero",
}
# What it says of a method that another one is better, level or worse.
BEHIND = {
    "better": "it is behind",
    "level": "the two cannot be told apart",
    "worse": "it is ahead",
}


def findings(comparison: Comparison, found: Sequence[Summary]) -> Iterator[str]:
    """Sentences on the methods that are looked at, good news and bad.

    Args:
        comparison: Names those methods and their baseline.
        found: All summaries.
    """
    protocol = comparison.protocol
    for name in (protocol.shown, *protocol.also):
        own = [x for x in found if x.method == name]
        yield from _verdicts(own, name, protocol.baseline)
    for x in found:
        if x.method == protocol.shown:
            group = [other for other in found if other.task == x.task]
            best = max(group, key=lambda other: other.test)
            why = reasons(comparison, group) if best is not x else ()
            yield " ".join([_on_a_task(x, best), *_sentence(why)])
    yield from _places(comparison, found)
    yield from _forms(comparison, found)
    yield from _edges(comparison, found)


def _verdicts(own, name, baseline):
    for verdict, place in VERDICTS.items():
        tasks = [x.task for x in own if x.gain.verdict == verdict]
        if tasks:
            yield (
                f"The interval of {name} minus {baseline} is {place} on "
                f"{len(tasks)} of {len(own)} tasks: {', '.join(tasks)}."
            )


def _on_a_task(x: Summary, best: Summary) -> str:
    seen = []
    if x.entropy is not None:
        seen.append(f"the entropy of its plan is {x.entropy:.2f}")
    if x.moved is not None:
        seen.append(f"{x.moved:.0%} of the neurons have moved")
    seen = f" ({', '.join(seen)})" if seen else ""
    if best is x:
        return f"{x.task}: {x.method} has the highest mean of all{seen}."
    gap = interval(best.tests - x.tests)
    return (
        f"{x.task}: {best.method} has the highest mean. Minus {x.method} it "
        f"is {in_words(gap)}: {BEHIND[gap.verdict]}{seen}."
    )


def _sentence(clauses):
    text = "; ".join(clauses)
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _places(comparison, found):
    """How far the methods that are looked at are from the best in rank."""
    protocol = comparison.protocol
    by_task = ranks(found, "test")
    for name in (protocol.shown, *protocol.also):
        own = by_task.get(name, {})
        rivals = {
            other: np.array([own[x] - places[x] for x in own])
            for other, places in by_task.items()
            if other != name and own and set(own) <= set(places)
        }
        if not rivals:
            continue
        best = max(rivals, key=lambda other: rivals[other].mean())
        gap = interval(rivals[best])
        yield (
            f"By their rank on test data over the {len(own)} tasks of {name}, "
            f"the best of the others that were tried on all of them is {best}. "
            f"The mean rank of {name} minus its own is {in_words(gap)}, where "
            f"less is better: {BEHIND[gap.verdict]}."
        )


def _forms(comparison, found):
    """How the forms of the same loss compare, on data that choices may see."""
    methods = {x.name: x for x in comparison.methods}
    shown = methods[comparison.protocol.shown]
    forms = [
        x
        for x in found
        if (methods[x.method].loss, methods[x.method].needs)
        == (shown.loss, shown.needs)
    ]
    for tasks, names in _common_tasks(forms):
        if not shown.loss or len(names) < 2:
            continue
        common = [x for x in forms if x.task in tasks and x.method in names]
        ranks = mean_ranks(common, "validation")
        listed = ", ".join(f"{x} {rank:.2f}" for x, (rank, _) in ranks.items())
        yield (
            f"Forms of {shown.loss} by their mean rank among each other on "
            f"validation data, over {', '.join(tasks)}: {listed}."
        )


def _common_tasks(forms):
    """Tasks with the methods that were tried on all of them, most first."""
    done = {
        name: tuple(x.task for x in forms if x.method == name)
        for name in dict.fromkeys(x.method for x in forms)
    }
    # Ranks of unequal sets of tasks say nothing of each other.
    for tasks in sorted({*done.values()}, key=lambda x: (-len(x), x)):
        yield tasks, {x for x in done if set(tasks) <= set(done[x])}


def _edges(comparison, found):
    """Grids that the best strength may lie outside of."""
    grids = {x.name: x.strengths for x in comparison.methods if x.has_choice}
    chosen = [x for x in found if x.method in grids]
    ends = [
        x.method
        for x in chosen
        if x.strength in (grids[x.method][0], grids[x.method][-1])
    ]
    if ends:
        counts = ", ".join(f"{x} {ends.count(x)}" for x in dict.fromkeys(ends))
        yield (
            f"{len(ends)} of {len(chosen)} chosen strengths are the smallest "
            "or the largest of their grid, beyond which nothing was tried: "
            f"{counts}."
        )
