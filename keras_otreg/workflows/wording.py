"""Sentences about results."""

from keras_otreg.workflows.findings import Comparison
from keras_otreg.workflows.report_data import ReportData


def choice(data: ReportData) -> str:
    """Sentence about which network `model.keras` is, and why."""
    best, least = data.score(data.chosen, "validation")
    scores = {
        title: data.score(title, "validation")
        for title in data.results
        if title != data.chosen
    }
    count = len(data.parts["validation"].paths)
    found = (
        f"model.keras is the network of {data.chosen!r}, the best on the "
        f"{count} validation pictures: accuracy {best:.3f}"
    )
    others = [
        f"{title} {reached:.3f}" for title, (reached, _) in scores.items()
    ]
    tied = [
        f"{title} has {-loss:.3f}"
        for title, (reached, loss) in scores.items()
        if reached == best
    ]
    found += f" ({', '.join(others)})." if others else "."
    if tied:
        found += (
            f" Of equal accuracies the lower cross-entropy decides: it has "
            f"{-least:.3f}, {', '.join(tied)}."
        )
    return found


def comparison(found: Comparison, method: str, plain: str) -> str:
    """Sentence that compares the method with its baseline on test pictures.

    Args:
        found: The comparison.
        method: Title of the first network.
        plain: Title of the second.
    """
    counts = (
        f"Of {found.count} test pictures, {method} classifies {found.correct} "
        f"correctly and {plain} {found.other}"
    )
    differ = sum(found.only)
    if not differ:
        return f"{counts}: the same ones."
    if found.verdict == "open":
        return (
            f"{counts}. They differ in {differ}; so large a difference comes "
            f"up in {found.p_value:.0%} of such tests between networks that "
            "are equally good: neither is shown to be better."
        )
    return (
        f"{counts}: {found.verdict} by more than chance (of the {differ} in "
        f"which they differ, {max(found.only)} go one way; p = "
        f"{found.p_value:.2g})."
    )


def advice(data: ReportData) -> str | None:
    """The one thing to try next, if there is one."""
    if data.chosen == data.plain:
        weight = " or ".join(data.strengths)
        search = f", or search one with {data.search}" if data.search else ""
        return (
            f"In validation {data.plain} is ahead of {data.method}: try a "
            f"smaller {weight}{search}."
        )
    if data.chosen != data.method:
        return (
            "No training of all layers is better in validation than "
            f"{data.chosen}: try a smaller --learning-rate, or more pictures."
        )
    result = data.results[data.method]
    if result.best == len(result.history):
        return "The last epoch was the best one: try more --epochs."
    return None
