"""What `fit` logged, epoch by epoch."""

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    axes_in_rows,
    colors,
    literal,
    new_figure,
    tidy,
    whole_ticks,
)

# As many points can still be told from each other.
MOST_POINTS = 30


def history(
    logs: Any, *, metrics: Sequence[str] | None = None, columns: int = 3
) -> Any:
    """Draws each logged value over the epochs, beside that on validation data.

    Args:
        logs: The `keras.callbacks.History` that `fit` returns, its dictionary,
            or the path of a file that `keras.callbacks.CSVLogger` wrote.
        metrics: Names of what to draw, without `val_`; if not given, all.
        columns: Panels side by side, at most.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If a metric was not logged, or not in each epoch, but for
            gaps, which are `None` or as in a file of `CSVLogger`; if there are
            no columns.

    Example:
        ```python
        model.compile(
            "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        logs = model.fit(train, validation_data=validation, epochs=10)
        otreg.plots.history(logs, metrics=["loss", "accuracy"])
        ```
    """
    columns = checks.count(columns, "columns")
    epochs, values = _read(logs)
    known = dict.fromkeys(name.removeprefix("val_") for name in values)
    names = list(known) if metrics is None else list(metrics)
    for name in names:
        checks.one_of(name, known, "metrics")
    checks.some_values(names, "logs")
    figure = new_figure(
        0.5 + 3.2 * min(columns, len(names)), 2.4 * -(-len(names) // columns)
    )
    for axes, name in zip(
        axes_in_rows(figure, len(names), columns), names, strict=True
    ):
        _draw(axes, epochs, values.get(name), "training", 1, "--")
        _draw(axes, epochs, values.get(f"val_{name}"), "validation", 2, "-")
        axes.set(xlabel="epoch", ylabel=literal(name))
        whole_ticks(axes.xaxis)
        tidy(axes)
    if any(name.startswith("val_") for name in values):
        _legend(figure)
    return figure


def _legend(figure):
    """Names each kind of curve once, in whichever panel it is."""
    lines = {
        line.get_label(): line for axes in figure.axes for line in axes.lines
    }
    figure.legend(
        lines.values(),
        lines.keys(),
        loc="outside upper right",
        ncols=2,
        frameon=False,
    )


def _draw(axes, epochs, values, label, color, dash):
    if values is not None:
        marker = "o" if len(values) <= MOST_POINTS else None
        axes.plot(
            epochs,
            values,
            dash,
            color=colors(axes.figure)[color],
            marker=marker,
            markersize=3,
            label=label,
        )


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
    values = {name: _numbers(column) for name, column in logs.items()}
    checks.equal_lengths(
        {k: len(column) for k, column in values.items()}, "logs"
    )
    count = max((len(column) for column in values.values()), default=0)
    epochs = values.pop("epoch", np.arange(count)) + 1
    # A file has a column for validation even where there was none.
    kept = {k: x for k, x in values.items() if np.isfinite(x).any()}
    return epochs, kept


def _numbers(column):
    return np.array(
        [np.nan if x in ("", "NA", None) else float(x) for x in column]
    )
