"""Table of the layers that can be captured from a model."""

from typing import Any

import keras
import rich.console
import rich.table

from keras_otreg.features.taps import activation_specs
from keras_otreg.features.walk import walk


def summary(model: keras.Model) -> None:
    """Print every path of a model that can be captured, with its shape.

    Args:
        model: A built `keras.Model`.

    Example:
        ```python
        otreg.features.summary(model)
        ```
    """
    headings = ("path", "layer", "output shape")
    rows = [headings, *summary_rows(model)]
    table = rich.table.Table(*headings)
    for row in rows[1:]:
        table.add_row(*row)
    # As wide as it needs: a path that is cut short cannot be copied.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    width = sum(widths) + 3 * len(widths) + 1
    console = rich.console.Console(width=width, markup=False, emoji=False)
    console.print(table)


def summary_rows(model: keras.Model) -> list[tuple[str, str, str]]:
    """Return path, class and output shape of each call of each layer."""
    specs = activation_specs(model) or {}
    rows = []
    for path, layer in walk(model):
        calls = specs.get(path, [None])
        for index, call in enumerate(calls):
            name = path if len(calls) == 1 else f"{path}#{index}"
            rows.append((name, type(layer).__name__, _shape(call)))
    return rows


def _shape(call: Any) -> str:
    if call is None:
        return "?"
    shapes = keras.tree.map_structure(
        lambda x: None if x is None else tuple(x.shape), call
    )
    return str(shapes)
