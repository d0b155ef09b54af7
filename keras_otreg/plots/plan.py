"""The neuron-to-neuron plan as a picture."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    heat_colors,
    literal,
    new_figure,
    whole_ticks,
)


def plan(
    plans: Any, *, aligned: Collection[str] = (), points: str = "neuron"
) -> Any:
    """Draws where the neurons of a teacher go in a student.

    A row is a teacher neuron and its shares sum to 1, so that a dark cell is
    a neuron that goes to one place. Neurons are put in an order that shows
    the plan: a sharp one is a staircase, and what is blurred comes last.

    Args:
        plans: A plan of shape `(teacher neurons, student neurons)`, as
            `RepresentationTransport.plan` returns it; or a plan for the title
            of each panel, such as the `plans` of a `TransportMonitor`.
        aligned: Titles of panels whose student started as a copy of the
            teacher. Both sides are then in one order, so that a neuron that
            stayed in its place is on the diagonal.
        points: What the rows and columns are.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If a plan is no matrix of finite numbers of at least 0, or
            that of an aligned panel is not square.

    Example:
        ```python
        P = loss.plan(teacher_activations, student_activations)
        otreg.plots.plan({"after training": P}).savefig("plan.png")
        ```
    """
    if not isinstance(plans, Mapping):
        plans = {"": plans}
    checks.some_values(plans, "plans", "panel")
    plans = {k: checks.plan(P, "plans") for k, P in plans.items()}
    for title in set(aligned).intersection(plans):
        checks.square(plans[title].shape, "plans")
    points = literal(points)
    figure = new_figure(1.0 + 4.0 * len(plans), 5.0)
    all_axes = figure.subplots(1, len(plans), squeeze=False)[0]
    for axes, (title, P) in zip(all_axes, plans.items(), strict=True):
        shares = row_shares(P)
        order = _common_order if title in aligned else _partner_order
        rows, columns = order(shares)
        image = axes.imshow(
            shares[np.ix_(rows, columns)],
            cmap=heat_colors(figure),
            vmin=0.0,
            vmax=1.0,
            aspect="auto",
        )
        whole_ticks(axes.xaxis, axes.yaxis)
        axes.set_title(literal(title))
        axes.set_xlabel(f"student {points}, sharpest first")
        axes.set_ylabel(f"teacher {points}")
    figure.colorbar(
        image, ax=list(all_axes), label=f"share of the teacher {points}"
    )
    return figure


def row_shares(plan: Any) -> np.ndarray:
    """A plan of shape `(n, m)` with rows scaled to sum 1."""
    plan = np.asarray(plan, dtype="float64")
    total = plan.sum(axis=1, keepdims=True)
    return plan / np.where(total > 0.0, total, 1.0)


def _common_order(shares):
    """One order for both sides: neurons that go to one place come first."""
    order = np.argsort(-shares.max(axis=1), kind="stable")
    return order, order


def _partner_order(shares):
    """Sharp students first; each teacher neuron beside its main partner."""
    columns = np.argsort(-shares.max(axis=0), kind="stable")
    # Of equal partners the last: what goes everywhere belongs to the end.
    partner = -shares[:, columns[::-1]].argmax(axis=1)
    rows = np.lexsort((-shares.max(axis=1), partner))
    return rows, columns
