"""How far the features of each layer have moved."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    MARKERS,
    colors,
    depth_colors,
    legend_name,
    literal,
    new_figure,
    tidy,
    whole_ticks,
)


def feature_drift(
    drift: Mapping[str, Any],
    *,
    epochs: Sequence[float] | None = None,
    label: str = "distance from the teacher",
) -> Any:
    """Draws how far each layer is from where it was, or from another network.

    One value for each layer is drawn as a bar, several as a line over the
    epochs, in colours that go from light to dark with the depth. A penalty of
    weight 0 measures the values in training without any effect.

    Args:
        drift: For the name of each layer, from input to output, one value, or
            values over the epochs, as many for each.
        epochs: The epochs of the values, from 1 if not given.
        label: What the values are.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the layers have unequal numbers of values, or none.

    Example:
        ```python
        layers = ["stage1", "stage2", "avg_pool"]
        penalties = otreg.Penalty.at_each(
            otreg.losses.CenteredKernelAlignment(), layers, weight=0, name="cka"
        )
        model = otreg.TransferModel(student, penalties=penalties)
        model.compile("adam", loss="sparse_categorical_crossentropy")
        logs = model.fit(train)
        otreg.plots.feature_drift(
            {name: logs.history[f"cka_{name}"] for name in layers}
        )
        ```
    """
    values = {name: np.asarray(x, "float64") for name, x in drift.items()}
    checks.equal_series({name: x.shape for name, x in values.items()})
    checks.some_values(np.ravel(next(iter(values.values()))), "drift")
    label = literal(label)
    if next(iter(values.values())).ndim == 0:
        return _bars(values, label)
    return _lines(values, epochs, label)


def _bars(values, label):
    figure = new_figure(5.0, 1.0 + 0.3 * len(values))
    axes = figure.subplots()
    bars = axes.barh(
        list(map(literal, values)),
        list(values.values()),
        color=colors(figure)[1],
    )
    axes.bar_label(bars, fmt=" %.3g", fontsize="small")
    # From input to output, from top to bottom.
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(xlabel=label, ylabel="layer")
    tidy(axes)
    axes.grid(visible=False, axis="y")
    return figure


def _lines(values, epochs, label):
    figure = new_figure(6.0, max(3.2, 0.8 + 0.2 * len(values)))
    axes = figure.subplots()
    palette = depth_colors(figure, len(values))
    for k, (name, series) in enumerate(values.items()):
        steps = np.arange(1, len(series) + 1) if epochs is None else epochs
        marker = MARKERS[k % len(MARKERS)]
        axes.plot(
            steps,
            series,
            color=palette[k],
            marker=marker,
            ms=4,
            label=legend_name(name),
        )
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    whole_ticks(axes.xaxis)
    tidy(axes)
    figure.legend(title="layer", loc="outside right upper", frameon=False)
    return figure
