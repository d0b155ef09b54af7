"""Learning curves over several seeds."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    DASHES,
    axes_in_rows,
    colors,
    legend_name,
    literal,
    new_figure,
    tidy,
    whole_ticks,
)


def learning_curves(
    panels: Mapping[str, Mapping[str, Any]],
    steps: Any,
    *,
    xlabel: str = "steps of training",
    ylabel: str = "test accuracy",
    columns: int = 4,
) -> Any:
    """Draws the mean over seeds as a line, the standard deviation as a band.

    Args:
        panels: For the title of each panel, its curves: for the name of each
            method, values of shape `(seeds, points)`. Two or three curves in
            a panel can be told apart; more hide each other.
        steps: Steps of training at the points, of shape `(points,)`.
        xlabel: What the steps are.
        ylabel: What the values are.
        columns: Panels side by side, at most.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no panels or columns, or a panel is empty.

    Example:
        ```python
        curves = {"plain": plain_accuracy, "transport": transport_accuracy}
        learning_curves({"ResNet50": curves}, steps).savefig("curves.png")
        ```
    """
    checks.some_values(panels, "panels", "panel")
    for curves in panels.values():
        checks.some_values(curves, "panels", "curve in each panel")
    columns = min(checks.count(columns, "columns"), len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(0.5 + 3.0 * columns, 0.5 + 2.75 * rows)
    places = axes_in_rows(figure, len(panels), columns)
    for axes, (title, curves) in zip(places, panels.items(), strict=True):
        axes.sharey(places[0])
        _draw(axes, curves, np.asarray(steps))
        axes.set_title(literal(title))
        axes.set(xlabel=literal(xlabel), ylabel=literal(ylabel))
        whole_ticks(axes.xaxis)
        tidy(axes)
        axes.legend(loc="lower right", frameon=False, fontsize="small")
    return figure


def _draw(axes, curves, steps):
    styles = zip(colors(axes.figure), DASHES, strict=False)
    for (name, values), (color, dash) in zip(
        curves.items(), itertools.cycle(styles), strict=False
    ):
        values = np.asarray(values)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        axes.plot(
            steps, mean, color=color, linestyle=dash, label=legend_name(name)
        )
        axes.fill_between(
            steps,
            mean - deviation,
            mean + deviation,
            color=color,
            alpha=0.2,
            linewidth=0.0,
        )
