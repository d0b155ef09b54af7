"""Figures that touch no global state, in colours that everyone can tell."""

import importlib
from typing import Any

# Four of Okabe and Ito's colours, of different lightness, each with a dash.
COLORS = ("#777777", "#0072B2", "#D55E00", "#009E73")
DASHES = ("--", "-", "-.", ":")


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of a size in inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        figure = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError(
            f"Pictures need a package that is not installed: {error}. "
            'Install the extra: pip install "keras-otreg[plots]"'
        ) from error
    return figure.Figure(figsize=(width, height), dpi=150, layout="constrained")
