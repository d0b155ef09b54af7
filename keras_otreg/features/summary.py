"""Lists what can be captured from a model."""

from typing import Any

import keras
import rich.console
import rich.table

from keras_otreg.features.taps import activation_specs
from keras_otreg.features.walk import walk


def summary(model: keras.Model) -> None:
    """Prints every path of a model that can be captured, with its shape.

    Args:
        model: A built `keras.Model`.

    Example:
        ```python
        otreg.features.summary(model)
        ```
    """
    table = rich.table.Table("path", "layer", "output shape")
    for path, kind, shape in summary_rows(model):
        table.add_row(path, kind, shape)
    rich.console.Console().print(table)


def summary_rows(model: keras.Model) -> list[tuple[str, str, str]]:
    """The path, the class and the output shape of everything in a model.

    A layer that is called repeatedly has a row for each call, with the path
    that chooses it.
    """
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
    shapes = keras.tree.map_structure(lambda x: tuple(x.shape), call)
    return str(shapes)
