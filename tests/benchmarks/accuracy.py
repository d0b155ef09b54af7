"""Methods of learning from few labels, compared on all of our tasks."""

import pathlib

import record
import rich.console
from small_tasks import SmallTask

from keras_otreg.benchmark import report, runner
from keras_otreg.benchmark.cells import CELLS, Cells
from keras_otreg.benchmark.comparison import restricted
from keras_otreg.benchmark.pictures import FolderTask
from keras_otreg.benchmark.reading import read
from keras_otreg.files import written

TASKS = pathlib.Path(__file__).with_name("accuracy.yaml")
KINDS = {"small": SmallTask, "folder": FolderTask}
PICTURE = pathlib.PurePosixPath("img/accuracy.png")
PROTOCOL = """\
Each method sees the same labels, initial weights and number of steps for a \
seed. A student with the teacher's weights starts with the head solved on the \
labelled samples; its learning rate and, of a method that has one, its \
strength are the best of {trials} trials on validation data and on other draws \
of labels: from 0.00032 and the \
middle of the strengths, one step up or down as long as that is better, then \
half a step. A student with new weights has the learning rate of the task, and \
the best strength of a list. The test data are looked at once. Brackets hold \
the 95 % bootstrap interval of the mean paired difference over the seeds: from \
five it comes out too narrow, and fewer have none. A table lists all methods \
that were tried on a task. A star marks what was not tried on both sides: it \
may be better still further on."""


def comparison(options=None):
    """All tasks, or those that options ask for."""
    found = read(TASKS, KINDS)
    if options is None:
        return found
    seeds = {"seeds": options.seeds, "seed": options.seed}
    return restricted(found, options.quick, options.only or (), seeds)


def run(options):
    """Measure what was not measured yet, or write the page."""
    found = comparison(options)
    if options.page is not None:
        write_page(found, options.out, options.page)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    console = rich.console.Console(markup=False)
    runner.run(found, options.out, options.data, console)
    record.add_machine(options.out / runner.RUN)


def write_page(comparison, folder, page):
    """Write the section on accuracy of a page, and its picture."""
    found = report.summaries(comparison, Cells(folder / CELLS))
    if not found:
        raise OSError(f"no results of these tasks and methods in {folder}")
    image = page.parent / PICTURE
    image.parent.mkdir(parents=True, exist_ok=True)
    written(image, report.picture(comparison, found).savefig)
    parts = [
        "## Accuracy",
        PROTOCOL.format(trials=comparison.trials),
        *_about(folder / runner.RUN),
        f"![Differences from {comparison.baseline}]({PICTURE})",
        *report.as_markdown(comparison, found, "###"),
    ]
    pictures = {x.name for x in comparison.tasks if isinstance(x, FolderTask)}
    found = [x for x in found if x.task in pictures]
    if found:
        ranks = report.rank_table(comparison, found)
        parts += ["### All tasks of pictures", ranks]
    record.write_section(page, "accuracy", parts)


def _about(path):
    """Command, pictures and machine of a run."""
    if not path.exists():
        return []
    about = record.read_about(path)
    # A person adds what the folder of --data was.
    pictures = about.pop("pictures", None)
    command, versions = record.origin(about)
    seen = [f"Pictures: {pictures}."] if pictures else []
    return [command, *seen, f"On: {versions}."]
