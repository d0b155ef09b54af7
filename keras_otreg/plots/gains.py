"""Differences with their intervals as a picture."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import axes_in_rows, colors, literal, new_figure


def gains(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str = "difference in test accuracy",
    columns: int = 3,
) -> Any:
    """Draws a mean as a point and its interval as a bar, for each method.

    A bar that does not touch the line at zero is coloured.

    Args:
        panels: For the title of each panel, and the name of each method in
            it, a mean, the lower and the upper end of its interval.
        xlabel: What the values are.
        columns: Panels side by side, at most.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no panels or columns, or a panel is empty.

    Example:
        ```python
        found = {"transport": (0.04, 0.02, 0.06), "L2-SP": (0.0, -0.1, 0.1)}
        gains({"my task": found}).savefig("gains.png")
        ```
    """
    checks.some_values(panels, "panels", "panel")
    for found in panels.values():
        checks.some_values(found, "panels", "method in each panel")
    columns = min(checks.count(columns, "columns"), len(panels))
    rows = math.ceil(len(panels) / columns)
    tallest = max(map(len, panels.values()))
    figure = new_figure(0.5 + 4.0 * columns, rows * (1.0 + 0.22 * tallest))
    palette = colors(figure)
    places = axes_in_rows(figure, len(panels), columns)
    for axes, (title, found) in zip(places, panels.items(), strict=True):
        heights = -np.arange(len(found))
        axes.axvline(0.0, color=palette[0], linewidth=0.8)
        for height, (mean, low, high) in zip(
            heights, found.values(), strict=True
        ):
            color = palette[1 if low > 0.0 else 2 if high < 0.0 else 0]
            axes.plot([low, high], [height, height], color=color)
            axes.plot(mean, height, "o", color=color, markersize=4)
        axes.set_yticks(heights, map(literal, found), fontsize="small")
        axes.set(title=literal(title), xlabel=literal(xlabel))
        axes.grid(axis="x", alpha=0.3, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
