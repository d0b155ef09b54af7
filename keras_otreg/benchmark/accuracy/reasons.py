"""Why a method does no better on a task: what the others show by contrast."""

from collections.abc import Iterator, Sequence

from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.summary import (
    Summary,
)
from keras_otreg.benchmark.accuracy.tables import in_words
from keras_otreg.experiments.intervals import interval

# Of a plan above it `callbacks.TransportMonitor` says that it is useless.
NEARLY_UNIFORM = 0.95
# What is given up by a plan that is not solved for.
PLANS = {
    "identity": "letting neurons move",
    "uniform": "knowing which neuron is which",
}
TOLD = {
    "better": "helps",
    "level": "makes no difference that shows",
    "worse": "costs",
}


def reasons(comparison: Comparison, group: Sequence[Summary]) -> Iterator[str]:
    """Sentences that tell apart what holds the method back that is looked at.

    Args:
        comparison: Names that method and its baseline.
        group: The summaries of one task, with that of the method.
    """
    protocol = comparison.protocol
    named = {x.method: x for x in group}
    shown = named[protocol.shown]
    if shown.entropy is not None and shown.entropy > NEARLY_UNIFORM:
        yield "its plan is nearly uniform and says next to nothing"
    yield from _of_what_is_known(comparison, named)
    yield from _of_the_plan(comparison, named)


def _of_what_is_known(comparison, named):
    """Whether training only a new head, for as many steps, is worse."""
    for method in comparison.methods:
        if method.uses != "frozen" or method.name not in named:
            continue
        gain = named[method.name].gain
        if gain.verdict == "worse":
            yield (
                "a new head on frozen features, trained for as many steps, is "
                f"below ({method.name} minus {comparison.protocol.baseline} "
                f"{in_words(gain)})"
            )


def _of_the_plan(comparison, named):
    """What is lost with a plan that knows the order, or nothing at all."""
    for plan, what in PLANS.items():
        other = _with_plan(comparison, plan)
        if other not in named:
            continue
        shown = named[comparison.protocol.shown]
        gain = interval(shown.tests - named[other].tests)
        yield f"{what} {TOLD[gain.verdict]} (minus {other} {in_words(gain)})"


def _with_plan(comparison, plan):
    """The method that differs from the shown one by a plan that is given."""
    methods = {x.name: x for x in comparison.methods}
    shown = methods[comparison.protocol.shown]
    wanted = {**shown.arguments, "plan": plan}
    for x in methods.values():
        if (x.loss, x.at, x.arguments) == (shown.loss, shown.at, wanted):
            return x.name
    return None
