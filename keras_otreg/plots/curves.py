"""Values over epochs, layers and methods as pictures."""

import csv
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    DASHES,
    MARKERS,
    colors,
    depth_colors,
    legend_name,
    literal,
    new_figure,
    new_panels,
    some_values,
    tidy,
    whole_ticks,
)

# As many points can still be told from each other.
MOST_POINTS = 30


def history(
    logs: Any, *, metrics: Sequence[str] | None = None, columns: int = 3
) -> Any:
    """Figure of each logged value over the epochs, and that in validation.

    Args:
        logs: The `keras.callbacks.History` that `fit` returns, its dictionary,
            or the path of a file that `keras.callbacks.CSVLogger` wrote.
        metrics: Names of what to draw, without `val_`; if not given, all.
        columns: Panels side by side, at most.

    Raises:
        ValueError: If a metric was not logged, there are not as many values
            of each (a gap is `None`), or there are no columns.

    Example:
        ```python
        model.compile("adam", "sparse_categorical_crossentropy")
        logs = model.fit(train, validation_data=validation, epochs=10)
        otreg.plots.history(logs, metrics=["loss"])
        ```
    """
    epochs, values = _read(logs)
    known = dict.fromkeys(name.removeprefix("val_") for name in values)
    names = list(known) if metrics is None else list(metrics)
    for name in names:
        checks.one_of(name, known, "metrics")
    some_values(names, "logs")
    places, lines = new_panels(len(names), columns, 3.2, 2.4), {}
    figure = places[0].figure
    marker = "o" if len(epochs) <= MOST_POINTS else None
    for axes, name in zip(places, names, strict=True):
        for key, label, color, dash in (
            (name, "training", 1, "--"),
            (f"val_{name}", "validation", 2, "-"),
        ):
            if key in values:
                style = {"color": colors(figure)[color], "marker": marker}
                curve = axes.plot(epochs, values[key], dash, ms=3, **style)
                lines[label] = curve[0]
        axes.set(xlabel="epoch", ylabel=literal(name))
        whole_ticks(axes.xaxis)
        tidy(axes)
    if any(name.startswith("val_") for name in values):
        place = {"loc": "outside upper right", "ncols": 2}
        figure.legend(lines.values(), lines.keys(), frameon=False, **place)
    return figure


def _read(logs):
    """The epochs, counted from 1, and the values of each name."""
    if isinstance(logs, keras.callbacks.History):
        logs = {"epoch": logs.epoch, **logs.history}
    if isinstance(logs, (str, pathlib.Path)):
        with open(logs, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = rows[0] if rows else ()
        logs = {name: [row[name] for row in rows] for name in names}
    checks.instance_of(logs, Mapping, "logs", "a History, a mapping or a path")
    missing = ("", "NA", None)
    values = {
        name: np.array([np.nan if x in missing else float(x) for x in column])
        for name, column in logs.items()
    }
    lengths = {name: len(column) for name, column in values.items()}
    if len({*lengths.values()}) > 1:
        raise checks.invalid("as many of each", lengths, argument="logs")
    count = max(lengths.values(), default=0)
    epochs = values.pop("epoch", np.arange(count)) + 1
    # A file has a column for validation even where there was none.
    kept = {k: x for k, x in values.items() if np.isfinite(x).any()}
    return epochs, kept


def learning_curves(
    panels: Mapping[str, Mapping[str, Any]],
    steps: Any,
    *,
    xlabel: str = "steps of training",
    ylabel: str = "test accuracy",
    columns: int = 4,
) -> Any:
    """Figure of the mean over seeds as a line, with its deviation as a band.

    Args:
        panels: For the title of each panel, its curves: for the name of each
            method, values of shape `(seeds, points)`. Two or three curves in
            a panel can be told apart; more hide each other.
        steps: Steps of training at the points, of shape `(points,)`.
        xlabel: What the steps are.
        ylabel: What the values are.
        columns: Panels side by side, at most.

    Raises:
        ValueError: If there are no panels or columns, or a panel is empty.

    Example:
        ```python
        curves = {"plain": plain_accuracy, "transport": transport_accuracy}
        learning_curves({"ResNet50": curves}, steps).savefig("curves.png")
        ```
    """
    _check_panels(panels)
    places = new_panels(len(panels), columns, 3.0, 3.25)
    palette = colors(places[0].figure)
    for axes, (title, curves) in zip(places, panels.items(), strict=True):
        axes.sharey(places[0])
        styles = itertools.cycle(zip(palette, DASHES, strict=False))
        for (name, values), (color, dash) in zip(
            curves.items(), styles, strict=False
        ):
            mean, deviation = np.mean(values, axis=0), np.std(values, axis=0)
            style = {"linestyle": dash, "label": legend_name(name)}
            axes.plot(steps, mean, color=color, **style)
            band = mean - deviation, mean + deviation
            axes.fill_between(steps, *band, color=color, alpha=0.2, linewidth=0)
        axes.set_title(literal(title))
        axes.set(xlabel=literal(xlabel), ylabel=literal(ylabel))
        whole_ticks(axes.xaxis)
        tidy(axes)
        axes.legend(loc="lower right", frameon=False, fontsize="small")
    return axes.figure


def gains(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    xlabel: str = "difference in test accuracy",
    columns: int = 3,
) -> Any:
    """Figure of a mean as a point with its interval as a bar, by method.

    A bar that does not touch the line at zero is coloured.

    Args:
        panels: For the title of each panel, and the name of each method in
            it, a mean, the lower and the upper end of its interval.
        xlabel: What the values are.
        columns: Panels side by side, at most.

    Raises:
        ValueError: If there are no panels or columns, or a panel is empty.

    Example:
        ```python
        found = {"transport": (0.04, 0.02, 0.06), "L2-SP": (0.0, -0.1, 0.1)}
        gains({"my task": found}).savefig("gains.png")
        ```
    """
    _check_panels(panels)
    size = 4.0, 1.0 + 0.22 * max(map(len, panels.values()))
    places = new_panels(len(panels), columns, *size)
    palette = colors(places[0].figure)
    for axes, (title, found) in zip(places, panels.items(), strict=True):
        heights = -np.arange(len(found))
        axes.axvline(0.0, color=palette[0], linewidth=0.8)
        intervals = zip(heights, found.values(), strict=True)
        for height, (mean, low, high) in intervals:
            color = palette[1 if low > 0.0 else 2 if high < 0.0 else 0]
            axes.plot([low, high], [height, height], color=color)
            axes.plot(mean, height, "o", color=color, markersize=4)
        axes.set_yticks(heights, map(literal, found), fontsize="small")
        axes.set(title=literal(title), xlabel=literal(xlabel))
        tidy(axes, grid="x")
    return axes.figure


def _check_panels(panels):
    some_values(panels, "panels", "panel")
    for found in panels.values():
        some_values(found, "panels", "method in each panel")


def feature_drift(
    drift: Mapping[str, Any],
    *,
    epochs: Sequence[float] | None = None,
    label: str = "distance from the teacher",
) -> Any:
    """Figure of the distance of each layer from its start, or another network.

    One value for each layer is drawn as a bar, several as a line over the
    epochs, in colours that go from light to dark with the depth. A penalty of
    weight 0 logs the values in training without any effect.

    Args:
        drift: For the name of each layer, from input to output, one value, or
            values over the epochs, as many for each.
        epochs: The epochs of the values, from 1 if not given.
        label: What the values are.

    Raises:
        ValueError: If the layers have unequal numbers of values, or none.

    Example:
        ```python
        drift = {"stage1": [0.1, 0.2], "avg_pool": [0.3, 0.5]}
        otreg.plots.feature_drift(drift, label="one minus CKA")
        ```
    """
    values = {name: np.asarray(x, "float64") for name, x in drift.items()}
    shapes = {name: x.shape for name, x in values.items()}
    if len({*shapes.values()}) != 1 or max(map(len, shapes.values())) > 1:
        raise checks.invalid(
            "one value for each layer, or as many for each",
            f"values of shapes {shapes}",
            argument="drift",
        )
    first = next(iter(values.values()))
    some_values(np.ravel(first), "drift")
    bars, lines = 1.0 + 0.3 * len(values), 0.8 + 0.2 * len(values)
    size = (6.0, max(3.2, lines)) if first.ndim else (5.0, bars)
    figure = new_figure(*size)
    axes = figure.subplots()
    tidy(axes, grid="both" if first.ndim else "x")
    if first.ndim == 0:
        names, lengths = list(map(literal, values)), list(values.values())
        bars = axes.barh(names, lengths, color=colors(figure)[1])
        axes.bar_label(bars, fmt=" %.3g", fontsize="small")
        # From input to output, from top to bottom.
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set(xlabel=literal(label), ylabel="layer")
        return figure
    palette = depth_colors(figure, len(values))
    steps = np.arange(1, len(first) + 1) if epochs is None else epochs
    for k, (name, series) in enumerate(values.items()):
        style = {"color": palette[k], "marker": MARKERS[k % len(MARKERS)]}
        axes.plot(steps, series, ms=4, label=legend_name(name), **style)
    axes.set(xlabel="epoch", ylabel=literal(label))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    whole_ticks(axes.xaxis)
    figure.legend(title="layer", loc="outside right upper", frameon=False)
    return figure
