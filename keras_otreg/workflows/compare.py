"""Compares two networks, and says where a penalty could act between them."""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np
import rich.table
import rich.text

from keras_otreg import plots
from keras_otreg.data import picture_parts, read_pictures
from keras_otreg.demo.progress import progress
from keras_otreg.files import written
from keras_otreg.workflows.layers import main_layers
from keras_otreg.workflows.network_file import network_in
from keras_otreg.workflows.networks import picture_shape
from keras_otreg.workflows.run import write_table
from keras_otreg.workflows.similarity import (
    CKA,
    PERMUTED,
    TRANSPORT,
    Similarity,
    similarity,
)

TABLE = "layers.csv"
FILES = {TRANSPORT: "transport.png", CKA: "cka.png", PERMUTED: "permuted.png"}
# Light to dark, as in the pictures; letters are legible on all of them.
SHADES = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be compared, and on what.

    Attributes:
        first: Path of a network, the teacher of a penalty.
        second: Path of another one, the student.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        out: An existing folder to write to, or `None`.
        pictures: How many to see the layers on.
        most: Layers of each network, at most.
        image_size: Height and width where a network takes any.
        seed: Of the draw of pictures.
    """

    first: pathlib.Path
    second: pathlib.Path
    data: pathlib.Path
    out: pathlib.Path | None
    pictures: int
    most: int
    image_size: int
    seed: int

    @property
    def names(self) -> list[str]:
        """What the two are called, by their folders too if need be."""
        paths = [x.resolve() for x in (self.first, self.second)]
        if paths[0].name != paths[1].name:
            return [x.name for x in paths]
        return [f"{x.parent.name}/{x.name}" for x in paths]


def compare(wish: Wish, console: Any) -> Similarity:
    """Compares all pairs of layers; prints and writes what is alike.

    Args:
        wish: What is to be done.
        console: A `rich.console.Console`.

    Returns:
        The `Similarity`.

    Raises:
        OSError: If a network cannot be had or used.
        ValueError: If there are no pictures.
        ImportError: If a package for pictures is missing.
    """
    networks = [
        network_in(wish.first, "first network"),
        network_in(wish.second, "second network"),
    ]
    layers = tuple(main_layers(model, wish.most) for model in networks)
    pictures = _pictures(wish, networks)
    with progress(console, len(layers[0]) * len(layers[1])) as stages:
        stages.begin("pairs of layers")
        found = similarity(*networks, pictures, layers, stages.advance)
    _show(wish, found, console)
    if wish.out is not None:
        _write(wish, found)
        names = ", ".join((TABLE, *FILES.values()))
        console.print(
            f"Written to {wish.out}: {names}", highlight=False, soft_wrap=True
        )
    return found


def _pictures(wish, networks):
    """The same pictures, as each of the networks takes them."""
    files = picture_parts(wish.data, wish.seed)["validation"]
    rng = np.random.default_rng(wish.seed)
    rows = np.sort(rng.permutation(len(files.paths))[: wish.pictures])
    files = files.take(rows)
    found = []
    for model in networks:
        height, width, channels = picture_shape(
            model, wish.image_size, "network"
        )
        batches = read_pictures(files, (height, width), channels=channels)
        found.append(
            np.concatenate([keras.ops.convert_to_numpy(x) for x, _ in batches])
        )
    return found


def _show(wish, found, console):
    """Prints the heat map, the pairs, and how to use them."""
    console.print(_heat_map(wish, found))
    pairs = found.pairs()
    table = rich.table.Table(
        f"{wish.names[0]} (teacher_at)",
        f"{wish.names[1]} (at)",
        *found.values,
        title="Layers that match, in the order of depth",
    )
    for row, column in pairs:
        place = found.rows.index(row), found.columns.index(column)
        numbers = [_number(values[place]) for values in found.values.values()]
        table.add_row(row, column, *numbers)
    console.print(table)
    at = ",\n".join(f'        "{column}": "{row}"' for row, column in pairs)
    console.print(
        "To pull the second network towards the first one:\n\n"
        "penalties = otreg.Penalty.at_each(\n"
        "    otreg.losses.TransportAlignment(),\n"
        f"    {{\n{at},\n    }},\n)\n",
        highlight=False,
    )


def _heat_map(wish, found):
    """Transport alignments, darker where layers are alike."""
    numbers = [str(k + 1) for k in range(len(found.columns))]
    table = rich.table.Table(
        wish.names[0],
        *numbers,
        title=f"{TRANSPORT} with the layers of {wish.names[1]}",
        padding=(0, 0),
    )
    for name, values in zip(found.rows, found.values[TRANSPORT], strict=True):
        table.add_row(name, *map(_cell, values))
    table.caption = "columns: " + ", ".join(
        f"{number} {name}"
        for number, name in zip(numbers, found.columns, strict=True)
    )
    return table


def _cell(value):
    if not np.isfinite(value):
        return ""
    shade = min(len(SHADES) - 1, int(max(value, 0.0) * len(SHADES)))
    ink = "#000000" if shade < 3 else "#ffffff"
    return rich.text.Text(f"{value:.2f}", style=f"{ink} on {SHADES[shade]}")


def _number(value):
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _write(wish, found):
    pairs = found.pairs()
    rows = [
        {
            "first": row,
            "second": column,
            **{
                name: "" if np.isnan(values[i, j]) else round(values[i, j], 5)
                for name, values in found.values.items()
            },
            "match": int((row, column) in pairs),
        }
        for i, row in enumerate(found.rows)
        for j, column in enumerate(found.columns)
    ]
    write_table(wish.out / TABLE, rows)
    for name, file in FILES.items():
        figure = plots.layer_similarity(
            found.values[name],
            found.rows,
            found.columns,
            pairs=pairs,
            label=name,
            ylabel=wish.names[0],
            xlabel=wish.names[1],
        )
        written(wish.out / file, figure.savefig)
