"""Figures that touch no global state, in colours that everyone can tell."""

from typing import Any

from keras_otreg import checks

# Four of Okabe and Ito's colours, of different lightness, each with a dash.
COLORS = ("#777777", "#0072B2", "#D55E00", "#009E73")
DASHES = ("--", "-", "-.", ":")


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of a size in inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = checks.installed("matplotlib.figure", "plots", "Pictures")
    return figure.Figure(figsize=(width, height), dpi=150, layout="constrained")
