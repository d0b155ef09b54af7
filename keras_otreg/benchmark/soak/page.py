"""Writes what a long training left behind into a page."""

import pathlib

from keras_otreg.benchmark.section import markdown_table, write_section
from keras_otreg.benchmark.soak.life import KINDS
from keras_otreg.benchmark.soak.rounds import claims
from keras_otreg.benchmark.soak.runner import read, table_of

MARKS = 6
PROTOCOL = """\
A round is an epoch of `fit`, `evaluate`, `predict`, `save`, `load_model` and \
`predict` again; the next round goes on with the model that was loaded. After \
each, garbage is collected and the process is looked at. The plain model is \
the student in the same loop without this library: what grows there too is \
not the wrapper's."""


def write_page(folder: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the section on long trainings of a page.

    Args:
        folder: Where `run` left its tables.
        page: A Markdown file; made if it is not there.

    Raises:
        OSError: If there are no results of a transfer model.
    """
    paragraphs = ["## Long trainings", PROTOCOL]
    for kind in KINDS:
        if kind == KINDS[0] or table_of(kind, folder).exists():
            paragraphs += _of(kind, *read(kind, folder))
    write_section(page, "soak", paragraphs)


def _of(kind, rounds, about):
    command = about.pop("command")
    versions = "; ".join(f"{name} {value}" for name, value in about.items())
    promises = [
        ("kept" if x.kept else "**not kept**", x.text, x.measured)
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
        f"### A {kind}",
        f"Command: `python -m keras_otreg {command}`",
        f"On: {versions}.",
        markdown_table(("", "promise", "measured"), promises),
        markdown_table(
            ("round", "minute", "resident MB", "threads", "handles"), lines
        ),
    ]
