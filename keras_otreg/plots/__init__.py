"""Plots of plans, layers and trainings.

Each is a `matplotlib.figure.Figure`, which `figure.savefig(path)` writes, or
an `ImportError` if matplotlib is not installed.
"""

from keras_otreg.plots.curves import (
    feature_drift,
    gains,
    history,
    learning_curves,
)
from keras_otreg.plots.figure import inline_svg
from keras_otreg.plots.matrices import (
    class_plan,
    layer_similarity,
    matches,
    plan,
)

__all__ = [
    "class_plan",
    "feature_drift",
    "gains",
    "history",
    "inline_svg",
    "layer_similarity",
    "learning_curves",
    "matches",
    "plan",
]
