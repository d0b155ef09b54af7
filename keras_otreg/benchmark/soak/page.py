"""Writes what a long training left behind into a page."""

import pathlib

from keras_otreg.benchmark.section import (
    markdown_table,
    origin,
    write_section,
)
from keras_otreg.benchmark.soak.life import EPOCHS, KINDS
from keras_otreg.benchmark.soak.rounds import claims
from keras_otreg.benchmark.soak.runner import read, table_of

MARKS = 6
PROTOCOL = f"""\
A round is {EPOCHS} epochs of `fit`, then `evaluate`, `predict`, `save`, \
`load_model` and a `predict` of what was loaded. The next round goes on with \
the same model, which loads its weights again; where it says so, with the new \
one. After each round garbage is collected and the process is looked at. The \
plain model is the student in the same loop without this library: what grows \
there too is not the wrapper's: to save and to load, Keras makes optimizers to \
compare with, and TensorFlow keeps something of each new name of a variable, \
some 35 kB; and it keeps the graph of each training step for ever, as Keras's \
optimizers sum gradients by a function with a gradient of its own."""


def write_page(folder: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the section on long trainings of a page.

    Args:
        folder: Where `run` left its tables.
        page: A Markdown file; made if it is not there.

    Raises:
        OSError: If there are no results of a transfer model.
    """
    first, *others = KINDS
    there = [kind for kind in others if table_of(kind, folder).exists()]
    paragraphs = ["## Long trainings", PROTOCOL]
    for kind in (first, *there):
        paragraphs += _of(kind, *read(kind, folder))
    write_section(page, "soak", paragraphs)


def _of(kind, rounds, about):
    command, versions = origin(about)
    promises = [
        ("met" if x.kept else "**not met**", x.text, x.measured)
        for x in claims(rounds)
    ]
    shown = dict.fromkeys(
        round(k * (len(rounds) - 1) / MARKS) for k in range(MARKS + 1)
    )
    lines = [
        (x.number, f"{x.minutes:.1f}", f"{x.megabytes:.0f}", *x[3:])
        for x in (rounds[k] for k in shown)
    ]
    return [
        f"### A {kind.name}",
        command,
        f"On: {versions}.",
        markdown_table(("", "target", "measured"), promises),
        markdown_table(
            ("round", "minute", "resident MB", "threads", "handles"), lines
        ),
    ]
