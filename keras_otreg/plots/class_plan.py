"""The class-to-class plan as a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import heat_colors, name_ticks, new_figure
from keras_otreg.plots.plan import row_shares


def class_plan(
    plan: Any, source_names: Sequence[str], target_names: Sequence[str]
) -> Any:
    """Draws which source classes each target class leans on.

    A row is a target class and its shares sum to 1. Source classes stand
    beside the target class that they go to most, strongest first.

    Args:
        plan: Non-negative, of shape `(source classes, target classes)`.
        source_names: Names of the source classes.
        target_names: Names of the target classes.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the plan is no matrix of finite numbers of at least 0,
            with a name for each row and column.

    Example:
        ```python
        P = loss.plan(source_predictions, target_predictions)
        class_plan(np.mean(P, axis=0), letters, digits).savefig("classes.png")
        ```
    """
    plan = checks.plan(plan)
    checks.class_names((source_names, target_names), plan.shape)
    shares = row_shares(plan.T)
    order = np.lexsort((-shares.max(axis=0), shares.argmax(axis=0)))
    longest = max(map(len, source_names))
    figure = new_figure(
        min(
            16.0,
            2.0 + 0.08 * max(map(len, target_names)) + 0.2 * len(source_names),
        ),
        min(12.0, 1.5 + 0.08 * longest + 0.3 * len(target_names)),
    )
    axes = figure.subplots()
    image = axes.imshow(
        shares[:, order],
        cmap=heat_colors(figure),
        vmin=0.0,
        # A plan that moves nothing has no share to set the scale by.
        vmax=shares.max() or 1.0,
        aspect="auto",
    )
    name_ticks(axes.xaxis, [source_names[k] for k in order])
    name_ticks(axes.yaxis, target_names)
    if longest > 2:
        axes.tick_params(axis="x", rotation=90)
    axes.set(xlabel="source class", ylabel="target class")
    figure.colorbar(image, ax=axes, label="share of the target class")
    return figure
