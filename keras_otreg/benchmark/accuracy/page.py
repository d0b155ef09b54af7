"""Writes the results into a page of the documentation."""

import json
import pathlib

from keras_otreg.benchmark.accuracy import report
from keras_otreg.benchmark.accuracy.cells import CELLS, RUN, Cells
from keras_otreg.benchmark.accuracy.comparison import Comparison
from keras_otreg.benchmark.accuracy.summary import summaries
from keras_otreg.benchmark.section import origin, write_section
from keras_otreg.files import written

PICTURE = pathlib.PurePosixPath("img/accuracy.png")
PROTOCOL = """\
Each method sees the same labels, initial weights and number of steps for a \
seed. Its strength is the best of {trials} by the accuracy on validation \
data, over {draws} other draws of labels; the test data are looked at once, \
with that strength. Brackets hold the 95 % bootstrap interval of the mean \
paired difference over the seeds: from five it comes out too narrow, and \
fewer have none. A table lists all methods that were tried on a task."""


def write_page(
    comparison: Comparison, folder: pathlib.Path, page: pathlib.Path
) -> None:
    """Writes the section on accuracy of a page, and its picture.

    What the page says outside of that section stays.

    Args:
        comparison: What was measured.
        folder: Where the results are.
        page: A Markdown file; made if it is not there.

    Raises:
        OSError: If there are no results.
    """
    found = summaries(comparison, Cells(folder / CELLS))
    if not found:
        raise OSError(
            f"no results of these tasks and methods in {folder}, as "
            f"`keras-otreg benchmark accuracy --out {folder}` writes"
        )
    image = page.parent / PICTURE
    image.parent.mkdir(parents=True, exist_ok=True)
    written(image, report.picture(comparison, found).savefig)
    write_section(
        page,
        "accuracy",
        [
            "## Accuracy",
            _protocol(comparison),
            *_about(folder),
            f"![Differences from {comparison.protocol.baseline}]({PICTURE})",
            *report.as_markdown(comparison, found, "###"),
        ],
    )


def _protocol(comparison):
    trials = max(len(x.strengths) for x in comparison.methods)
    return PROTOCOL.format(trials=trials, draws=comparison.protocol.draws)


def _about(folder):
    """How the numbers came about, as the run noted it."""
    path = folder / RUN
    if not path.exists():
        return []
    about = json.loads(path.read_text(encoding="utf-8"))
    # What --data was is for a person to add; it is a folder of anybody's.
    pictures = about.pop("pictures", None)
    command, versions = origin(about)
    seen = [f"Pictures: {pictures}."] if pictures else []
    return [command, *seen, f"On: {versions}."]
