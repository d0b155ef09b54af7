"""Writes the measured speed into a page of the documentation."""

import pathlib

from keras_otreg.benchmark.section import (
    markdown_table,
    origin,
    write_section,
)
from keras_otreg.benchmark.speed.record import EARLIER, claims, read, rows
from keras_otreg.benchmark.speed.report import GROWTH, grown_times, tables
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
    found, _, about = read(folder)
    about.pop("quick")
    earlier = about.pop(EARLIER, {})
    command, versions = origin(about)
    paragraphs = [
        "## Speed",
        command,
        *_earlier(earlier),
        f"On: {versions}. All times of a table were taken in turn in one run; "
        "compare them with each other, not with those of another machine. "
        "Errors are recomputed in float64 from the potentials that a solver "
        "returns; the gap is how far its dual value is from the best known. In "
        "the profile the gap is that of single costs, of a mean of 1, or of "
        "the value of the same plan.",
        "### Targets",
        markdown_table(
            ("", "target", "measured"),
            [(_marked(c), c.text, c.measured) for c in claims(found)],
        ),
    ]
    for part, (head, lines) in tables(rows(found)).items():
        title = f"### {part[0].upper()}{part[1:]}"
        paragraphs += [title, markdown_table(head, lines)]
    grown = grown_times(rows(found))
    if len(grown) > 1:
        image = page.parent / PICTURE
        image.parent.mkdir(parents=True, exist_ok=True)
        written(image, growth(grown).savefig)
        paragraphs.append(f"![Time against the number of neurons]({PICTURE})")
    write_section(page, "speed", paragraphs)


def _marked(claim):
    return claim.verdict if claim.kept else f"**{claim.verdict}**"


def _earlier(commands):
    """Which parts another command has measured, on the same machine."""
    for command in dict.fromkeys(commands.values()):
        parts = [part for part, by in commands.items() if by == command]
        words, _ = origin({"command": command})
        yield f"Measured earlier: {', '.join(parts)}. {words}"
