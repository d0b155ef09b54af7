"""The neuron-to-neuron plan as a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_otreg.plots.figure import new_figure


def neuron_plan(plans: Mapping[str, Any]) -> Any:
    """Draws where the neurons of a teacher go in a student.

    A row is a teacher neuron and its shares sum to 1, so that a dark cell is
    a neuron that goes to one place. Student neurons stand in their own order;
    teacher neurons are sorted by where most of them goes, so that a sharp
    plan is a staircase and a blurred one is grey.

    Args:
        plans: For the title of each panel, a plan of shape `(teacher neurons,
            student neurons)`, as `RepresentationTransport.plan` returns it.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:
        ```python
        P = loss.plan(teacher_activations, student_activations)
        neuron_plan({"after training": P}).savefig("plan.png")
        ```
    """
    figure = new_figure(1.0 + 4.0 * len(plans), 5.0)
    all_axes = figure.subplots(1, len(plans), squeeze=False)[0]
    for axes, (title, plan) in zip(all_axes, plans.items(), strict=True):
        image = axes.imshow(
            sorted_shares(plan),
            cmap="cividis_r",
            vmin=0.0,
            vmax=1.0,
            aspect="auto",
            interpolation="nearest",
        )
        axes.set(title=title, xlabel="student neuron")
        axes.set_ylabel("teacher neuron, sorted by its main partner")
    figure.colorbar(
        image, ax=list(all_axes), label="share of the teacher neuron"
    )
    return figure


def sorted_shares(plan: Any) -> np.ndarray:
    """Rows of sum 1, sorted by their largest entry's place, then its size.

    Args:
        plan: Non-negative, of shape `(n, m)`.

    Returns:
        An array of the same shape.
    """
    plan = np.asarray(plan, dtype="float64")
    total = plan.sum(axis=1, keepdims=True)
    shares = plan / np.where(total > 0.0, total, 1.0)
    order = np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))
    return shares[order]
