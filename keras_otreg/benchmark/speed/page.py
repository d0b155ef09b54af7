"""Writes the measured speed into a page of the documentation."""

import pathlib

from keras_otreg.benchmark.section import write_section
from keras_otreg.benchmark.speed.report import (
    GROWTH,
    HEAD,
    cells,
    grown_times,
    read,
)
from keras_otreg.plots.growth import growth

PICTURE = pathlib.PurePosixPath("img") / GROWTH


def write_page(folder: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the section on speed of a page, and its picture.

    Args:
        folder: Where `run` left its tables.
        page: A Markdown file; made if it is not there.

    Raises:
        OSError: If there are no results.
    """
    rows, claims, about = read(folder)
    command = about.pop("command")
    about.pop("quick")
    versions = "; ".join(f"{name} {value}" for name, value in about.items())
    paragraphs = [
        "## Speed",
        f"Command: `python -m keras_otreg {command}`",
        f"On: {versions}. All times of a table were taken in turn in one run; "
        "compare them with each other, not with those of another machine. "
        "Errors are recomputed in float64 from the potentials that a solver "
        "returns; the value gap is how far its dual value is from the best "
        "known.",
        "### Promises",
        _table(
            ("", "promise", "measured"),
            [
                ("kept" if c.kept else "**not kept**", c.text, c.measured)
                for c in claims
            ],
        ),
    ]
    for part in dict.fromkeys(row.part for row in rows):
        shown = [cells(row)[1:] for row in rows if row.part == part]
        paragraphs += [
            f"### {part[0].upper()}{part[1:]}",
            _table(HEAD[1:], shown),
        ]
    grown = grown_times(rows)
    if len(grown) > 1:
        image = page.parent / PICTURE
        image.parent.mkdir(parents=True, exist_ok=True)
        growth(grown).savefig(image)
        paragraphs.append(f"![Time against the number of neurons]({PICTURE})")
    write_section(page, "speed", paragraphs)


def _table(head, rows):
    """A Markdown table, without the columns that are empty throughout."""
    rows = [list(row) for row in rows]
    used = [
        k for k in range(len(head)) if head[k] == "" or any(r[k] for r in rows)
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(line[k]) for k in used) + " |" for line in lines
    )
