"""The page that a command writes about what it has done."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

import keras_otreg
from keras_otreg import checks, plots
from keras_otreg.callbacks.advice import UNIFORM
from keras_otreg.files import whole
from keras_otreg.workflows.findings import confusion, examples
from keras_otreg.workflows.story import Story
from keras_otreg.workflows.thumbnails import thumbnail
from keras_otreg.workflows.words import advice, sentence

EXTRA, TEMPLATE = "pictures", "report.html.j2"
EXAMPLES = 12
FILTERS = {
    "percent": lambda share: f"{100.0 * share:.1f}\u202f%",
    "pythonic": repr,
    "duration": lambda x: f"{x:.0f} s" if x < 100.0 else f"{x / 60.0:.0f} min",
}


def check_report() -> None:
    """Raises if a package is missing that the report needs.

    Raises:
        ImportError: With the command that installs it.
    """
    for package in ("jinja2", "matplotlib", "PIL"):
        checks.installed(package, EXTRA, "Reports")


def write_report(
    path: pathlib.Path, story: Story, shape: tuple[int, int, int]
) -> None:
    """Writes a page that needs no other file.

    Args:
        path: Of the page.
        story: What it tells.
        shape: Height, width and channels of the pictures, as they were seen.
    """
    jinja2 = checks.installed("jinja2", EXTRA, "Reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_otreg.workflows"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    page = environment.get_template(TEMPLATE).render(_context(story, shape))
    with whole(path) as unfinished:
        unfinished.write_text(page, "utf-8")


def _context(story: Story, shape: tuple[int, int, int]) -> dict[str, Any]:
    test = story.parts["test"]
    counts = confusion(story.predictions, test.labels, len(test.class_names))
    return {
        "story": story,
        "sentence": sentence(story.compared(), story.name, story.plain),
        "advice": _advice(story),
        "settings": {**story.settings, **_versions()},
        "size": tuple(shape[:2]),
        "channels": shape[2],
        "rows": story.rows(),
        "comparison": story.compared(),
        "names": test.class_names,
        "counts": counts.tolist(),
        "most_confused": _most_confused(counts, test.class_names),
        "curves": _curves(story),
        "neurons": _neurons(story),
        "class_plan": _figure(story.class_plan, "which classes lean on which"),
        "wrong": _examples(story, right=False),
        "right": _examples(story, right=True),
    }


def _advice(story):
    titles = story.name, story.plain
    reached = tuple(story.accuracy(x, "validation") for x in titles)
    results = (story.results[x] for x in titles)
    return advice(story.name, *results, reached, story.strengths, story.search)


def _versions():
    return {
        "keras-otreg": keras_otreg.__version__,
        "Keras": f"{keras.__version__} on {keras.backend.backend()}",
    }


def _most_confused(counts, names):
    """The two classes that are taken for each other most, and how often."""
    mistakes = counts * (1 - np.eye(len(counts), dtype=int))
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    often = int(mistakes[row, column])
    if not often:
        return None
    return {
        "label": names[row],
        "taken_for": names[column],
        "often": often,
        "of": int(counts[row].sum()),
    }


def _curves(story):
    shown = {k: story.results[k].history for k in (story.plain, story.name)}
    steps = np.arange(1, max(map(len, shown.values())) + 1)
    panels = {}
    for title, key in (
        ("pictures not learnt", "val_accuracy"),
        ("pictures learnt", "accuracy"),
    ):
        panels[title] = {k: _line(v, key, len(steps)) for k, v in shown.items()}
    figure = plots.learning_curves(
        panels, steps, xlabel="epoch", ylabel="accuracy", columns=2
    )
    return _figure(figure, "accuracy in each epoch")


def _line(history: Sequence[Mapping[str, float]], key: str, length: int):
    """Values of one training as of one seed; one that ended early is short."""
    values = [row[key] for row in history]
    return np.array([values + [np.nan] * (length - len(values))])


def _neurons(story):
    found = story.neurons
    if found is None:
        return None
    aligned = ["after training"] if found.same else []
    plan = plots.plan({"after training": found.plan}, aligned=aligned)
    roles = {"moved": found.moved, "kept": found.kept}
    return {
        "found": found,
        "plan": _figure(plan, "where each neuron of the teacher goes"),
        "count": len(found.plan),
        "width": found.plan.shape[1],
        "blurred": found.entropy > UNIFORM,
        **{k: list(_roles(story, found.roles(v))) for k, v in roles.items()},
        "num_moved": int(found.moved.sum()),
        "num_kept": int(found.kept.sum()),
        "num_silent": int(found.silent.sum()),
    }


def _roles(story, roles):
    keys = ("was", "is_now")
    paths = story.seen.paths
    return [
        {
            **role,
            **{k: [thumbnail(paths[row]) for row in role[k]] for k in keys},
        }
        for role in roles
    ]


def _examples(story, right):
    test = story.parts["test"]
    found = examples(story.predictions, test.labels, right, EXAMPLES)
    return [
        {
            "picture": thumbnail(test.paths[one["row"]]),
            "label": test.class_names[one["label"]],
            "taken_for": test.class_names[one["taken_for"]],
            "share": one["share"],
        }
        for one in found
    ]


def _figure(figure, label):
    if figure is None:
        return None
    markup = checks.installed("markupsafe", EXTRA, "Reports")
    return markup.Markup(plots.inline_svg(figure, label))
