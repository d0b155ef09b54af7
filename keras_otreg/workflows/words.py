"""What results mean, in words."""

from collections.abc import Sequence

from keras_otreg.workflows.findings import Comparison
from keras_otreg.workflows.run import Trained

# Of validation accuracy, more than a picture or two.
CLEAR = 0.01


def sentence(found: Comparison, name: str, plain: str) -> str:
    """How a network compares with another one.

    Args:
        found: The comparison.
        name: Title of the first network.
        plain: Title of the second.
    """
    counts = (
        f"Of {found.count} test pictures, {name} reads {found.right} and "
        f"{plain} {found.other}"
    )
    differ = sum(found.only)
    if not differ:
        return f"{counts}: they read the same ones."
    if found.verdict == "open":
        return (
            f"{counts}. They differ in {differ}; so large a difference comes "
            f"up in {found.chance:.0%} of such tests between networks that are "
            "equally good: neither is shown to be better."
        )
    return (
        f"{counts}: {found.verdict} by more than chance (of the {differ} in "
        f"which they differ, {max(found.only)} go one way; p = "
        f"{found.chance:.2g})."
    )


def advice(
    name: str,
    found: Trained,
    plain: Trained,
    reached: tuple[float, float],
    strengths: Sequence[str],
    search: str | None,
) -> list[str]:
    """What to try next.

    Args:
        name: Title of the result.
        found: The result.
        plain: What it is compared with.
        reached: Validation accuracies of the two.
        strengths: Options of the command that say how strongly it acts.
        search: An option that has it searched, with its value.
    """
    weight = " or ".join(strengths)
    lines = []
    if found.best == 0:
        lines.append(
            f"No epoch of {name} was better in validation than its start, so "
            "the start was kept. Try a smaller --learning-rate, or a larger "
            f"{weight}."
        )
    elif found.best == len(found.history):
        lines.append("The last epoch was the best one: try more --epochs.")
    if reached[1] > reached[0] + CLEAR:
        lines.append(
            "What it is compared with is ahead in validation. A pull is only "
            f"as good as its teacher: try a smaller {weight}"
            + (f", or search one with {search}." if search else ".")
        )
    return lines
