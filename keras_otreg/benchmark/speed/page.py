"""Writes the measured speed into a page of the documentation."""

import pathlib

from keras_otreg.benchmark.section import (
    markdown_table,
    origin,
    write_section,
)
from keras_otreg.benchmark.speed.report import (
    GROWTH,
    grown_times,
    read,
    tables,
)
from keras_otreg.files import written
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
    about.pop("quick")
    command, versions = origin(about)
    paragraphs = [
        "## Speed",
        command,
        f"On: {versions}. All times of a table were taken in turn in one run; "
        "compare them with each other, not with those of another machine. "
        "Errors are recomputed in float64 from the potentials that a solver "
        "returns; the value gap is how far its dual value is from the best "
        "known.",
        "### Promises",
        markdown_table(
            ("", "promise", "measured"),
            [
                ("kept" if c.kept else "**not kept**", c.text, c.measured)
                for c in claims
            ],
        ),
    ]
    for part, (head, lines) in tables(rows).items():
        title = f"### {part[0].upper()}{part[1:]}"
        paragraphs += [title, markdown_table(head, lines)]
    grown = grown_times(rows)
    if len(grown) > 1:
        image = page.parent / PICTURE
        image.parent.mkdir(parents=True, exist_ok=True)
        written(image, growth(grown).savefig)
        paragraphs.append(f"![Time against the number of neurons]({PICTURE})")
    write_section(page, "speed", paragraphs)
