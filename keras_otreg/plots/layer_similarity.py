"""Heat map of the similarity of layers of two networks."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.plots.figure import (
    colors,
    heat_map,
    lightness,
    literal,
    name_ticks,
    named_figure,
    some_values,
)

# More cells than that have no room for a number.
MOST_NUMBERS = 400


def layer_similarity(
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    pairs: Collection[tuple[str, str]] = (),
    title: str | None = None,
    label: str = "similarity",
    ylabel: str = "teacher layer",
    xlabel: str = "student layer",
) -> Any:
    """Figure of a value for each layer of one network and each of another.

    Args:
        values: Shape `(rows, columns)`, such as one minus the value of
            `CenteredKernelAlignment`. The colours go from 0 to 1, or as far as
            the finite values do; other cells are grey.
        rows: Names of the layers of one network, from input to output.
        columns: Names of the layers of the other.
        pairs: Pairs of names (row, column) to be framed.
        title: Title of the figure.
        label: What the values are.
        ylabel: What the rows are.
        xlabel: What the columns are.

    Raises:
        ValueError: If there are not as many names as values, no value is
            finite, or a pair is not among the names.

    Example:
        ```python
        values = [[0.9, 0.2], [0.3, 0.7]]
        rows, columns = ["stem", "features"], ["conv1", "conv2"]
        otreg.plots.layer_similarity(values, rows, columns, label="CKA")
        ```
    """
    values = np.asarray(values, dtype="float64")
    if values.shape != (len(rows), len(columns)) or 0 in values.shape:
        raise checks.invalid(
            "a value for each pair of names, of shape "
            f"{(len(rows), len(columns))}, and not empty",
            f"shape {values.shape}",
            argument="values",
        )
    finite = values[np.isfinite(values)]
    some_values(finite, "values", "pair of layers")
    figure = named_figure(rows, columns, 0.5, 0.35)
    axes = figure.subplots()
    low, high = min(0.0, finite.min()), max(1.0, finite.max())
    image = heat_map(axes, values, low, high)
    name_ticks(axes.yaxis, rows)
    name_ticks(axes.xaxis, columns)
    axes.tick_params(axis="x", rotation=90 if max(map(len, columns)) > 3 else 0)
    axes.set(xlabel=literal(xlabel), ylabel=literal(ylabel))
    axes.set_title(literal(title or ""))
    if values.size <= MOST_NUMBERS:
        _write_numbers(axes, image, values)
    for row, column in pairs:
        checks.one_of(row, rows, "pairs")
        checks.one_of(column, columns, "pairs")
        x, y = columns.index(column), rows.index(row)
        left, right, low, high = x - 0.45, x + 0.45, y - 0.42, y + 0.42
        axes.plot(
            [left, right, right, left, left],
            [low, low, high, high, low],
            color=colors(figure)[2],
            linewidth=2.0,
        )
    figure.colorbar(image, ax=axes, label=literal(label))
    return figure


def _write_numbers(axes, image, values):
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = lightness(image.cmap(image.norm(value))[:3]) < 0.5
            color = "white" if dark else "black"
            text = f"{value:.2f}"
            axes.text(j, i, text, color=color, ha="center", va="center", size=7)
