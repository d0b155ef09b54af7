"""Learning curves over several seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_otreg.plots.figure import COLORS, DASHES, new_figure


def learning_curves(
    panels: Mapping[str, Mapping[str, Any]],
    steps: Any,
    *,
    ylabel: str = "test accuracy",
) -> Any:
    """Draws the mean over seeds as a line, the standard deviation as a band.

    Args:
        panels: For the title of each panel, its curves: for the name of each
            method, values of shape `(seeds, points)`.
        steps: Steps of training at the points, of shape `(points,)`.
        ylabel: What the values are.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:
        ```python
        curves = {"plain": plain_accuracy, "transport": transport_accuracy}
        learning_curves({"ResNet50": curves}, steps).savefig("curves.png")
        ```
    """
    figure = new_figure(1.0 + 5.0 * len(panels), 5.0)
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, curves) in zip(all_axes, panels.items(), strict=True):
        _draw(axes, curves, np.asarray(steps))
        axes.set(title=title, xlabel="steps of training", ylabel=ylabel)
        axes.label_outer()
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False, fontsize="small")
    return figure


def _draw(axes, curves, steps):
    for index, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        color = COLORS[index % len(COLORS)]
        axes.plot(
            steps,
            mean,
            color=color,
            linestyle=DASHES[index % len(DASHES)],
            label=name,
        )
        axes.fill_between(
            steps,
            mean - deviation,
            mean + deviation,
            color=color,
            alpha=0.1,
            linewidth=0.0,
        )
