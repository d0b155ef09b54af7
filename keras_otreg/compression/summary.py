"""Table of the layers that can be narrowed, and of what it saves."""

from typing import Any, NamedTuple

import keras
import rich.console
import rich.table

from keras_otreg.compression.channels import Traced
from keras_otreg.compression.resources import ResourceModel, Resources


class Row(NamedTuple):
    """A layer of a network.

    `tied` are other layers that compute the same channels; `why` is the reason
    why its neurons all stay, empty if they need not.
    """

    path: str
    kind: str
    width: int
    tied: tuple[str, ...]
    resources: Resources
    why: str


def summary_rows(teacher: keras.Model) -> list[Row]:
    """The rows that `summary` prints."""
    traced = Traced.of(teacher)
    groups = traced.groups
    widths = {k: groups[k].size for k in groups.roots()}
    found = ResourceModel(traced).of_calls(widths)
    rows = []
    for call, resources in zip(traced.graph.calls, found, strict=True):
        layout = traced.layouts[call.outputs[0]]
        owners = dict.fromkeys(x for k in layout for x in groups[k].owners)
        owners.pop(call.path, None)
        reasons = {groups[k].why for k in layout} - {""}
        rows.append(
            Row(
                call.path,
                type(call.layer).__name__,
                groups.width(layout),
                tuple(owners),
                resources,
                "; ".join(sorted(reasons)),
            )
        )
    return rows


def summary(teacher: keras.Model) -> None:
    """Print every layer of a network, and whether it can be narrowed.

    A row tells the width of a layer, the layers that compute the same
    channels and are narrowed with it, its parameters, its operations for one
    sample (two for each multiplication by a weight of a linear layer), and
    why it stays as wide as it is, if it does.

    Args:
        teacher: A built Functional or Sequential network.

    Example:
        ```python
        otreg.compression.summary(teacher)
        ```
    """
    rows = summary_rows(teacher)
    headings = ("layer", "kind", "width", "tied to", "parameters", "FLOPs")
    table = rich.table.Table(*headings, "stays because")
    for row in rows:
        table.add_row(*map(_text, row[:4]), *map(_text, row.resources), row.why)
    total = map(sum, zip(*(row.resources for row in rows), strict=True))
    table.add_section()
    table.add_row("total", "", "", "", *map(_text, total), "")
    rich.console.Console(width=140, markup=False, emoji=False).print(table)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(value[:2])
        return shown + (f" and {len(value) - 2} more" * (len(value) > 2))
    return f"{value:,}" if isinstance(value, int) else str(value)
