"""The HTML report of a command."""

import base64
import functools
import io
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

import keras_otreg
from keras_otreg import checks, plots
from keras_otreg.callbacks.transport_monitor import UNIFORM
from keras_otreg.data.reading import decoded_file
from keras_otreg.workflows.results import ReportData, confusion, ended, surest

SIZE = 104


@functools.lru_cache(maxsize=4096)
def thumbnail(path: str) -> str:
    """A picture as the value of `src`, square, its margins cut off."""
    # As networks are shown it: Pillow makes white of 16 bits a channel.
    how = {"crop_to_aspect_ratio": True, "antialias": True}
    pixels = keras.ops.image.resize(decoded_file(path), (SIZE, SIZE), **how)
    picture = keras.utils.array_to_img(pixels, scale=False)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{code}"


EXAMPLES = 12
OPTION = re.compile(r"(--[a-z-]+(?: \d+)?)")
FILTERS = {
    "percent": lambda share: f"{100.0 * share:.1f}\u202f%",
    # Options are set as code, without line breaks in them. Escaped text is made
    # plain first, as it would escape what is put into it.
    "options": lambda text: OPTION.sub(
        r'<code class="option">\1</code>', str(text)
    ),
    "thumbnail": thumbnail,
    "gain": lambda gain: "" if gain is None else f"{100.0 * gain:+.1f}",
    "ended": ended,
    "pythonic": repr,
    "duration": lambda x: f"{x:.0f} s" if x < 100.0 else f"{x / 60.0:.0f} min",
}


def report_page(data: ReportData, shape: tuple[int, int, int]) -> str:
    """Return an HTML page that needs no other file, for pictures of a shape."""
    versions = {
        "keras-otreg": keras_otreg.__version__,
        "Keras": f"{keras.__version__} on {keras.backend.backend()}",
    }
    probabilities = data.results[data.chosen].predictions["test"]
    context = {
        "data": data,
        "settings": {**data.settings, **versions},
        "size": tuple(shape[:2]),
        "channels": shape[2],
        "curves": _curves(data),
        "plan": data.neurons and _plan(data.neurons),
        "uniform": UNIFORM,
        "class_plan": data.class_plan
        and plots.inline_svg(data.class_plan, "plan between the classes"),
        **on_test_pictures(probabilities, data.parts["test"]),
    }
    return rendered("report.html.j2", context)


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """Fill in one of the templates of this folder."""
    jinja2 = checks.installed("jinja2", "pictures", "Reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_otreg.workflows"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(context)


def on_test_pictures(predictions, files):
    """The part of a template's context that is about test pictures."""
    names = files.class_names
    counts = confusion(predictions, files.labels, len(names))
    found = {"names": names, "counts": counts.tolist()}
    found["most_confused"] = _most_confused(counts, names)
    for name in ("wrong", "right"):
        rows = surest(predictions, files.labels, name == "right", EXAMPLES)
        found[name] = examples(files, predictions, rows)
    return found


def examples(files, probabilities, rows):
    """Some pictures, with their labels and predicted classes."""
    names = files.class_names
    return [
        {
            "picture": thumbnail(files.paths[row]),
            "file": pathlib.Path(files.paths[row]).name,
            "label": names[files.labels[row]],
            "predicted": names[probabilities[row].argmax()],
            "probability": float(probabilities[row].max()),
        }
        for row in rows
    ]


def _most_confused(counts, names):
    """The most frequent mistake, and how often it is made."""
    mistakes = counts * (1 - np.eye(len(counts), dtype=int))
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    often = int(mistakes[row, column])
    if not often:
        return None
    return {
        "label": names[row],
        "predicted": names[column],
        "often": often,
        "of": int(counts[row].sum()),
    }


def _curves(data):
    histories = {k: data.results[k].history for k in (data.plain, data.method)}
    steps = np.arange(1, max(map(len, histories.values())) + 1)
    figures = []
    for part, key in (("validation", "val_accuracy"), ("training", "accuracy")):
        lines = {}
        for title, history in histories.items():
            if history:
                # As of one seed; a training that ended early is short.
                lines[title] = np.full((1, len(steps)), np.nan)
                lines[title][0, : len(history)] = [row[key] for row in history]
        axes = {"xlabel": "epoch", "ylabel": "accuracy"}
        panels = {f"{part} pictures": lines}
        figure = plots.learning_curves(panels, steps, **axes)
        label = f"accuracy on {part} pictures in each epoch"
        figures.append(plots.inline_svg(figure, label))
    return figures


def _plan(found):
    aligned = ["after training"] if found.same else []
    plan = plots.plan({"after training": found.plan}, aligned=aligned)
    label = "plan from the teacher's to the student's neurons"
    return plots.inline_svg(plan, label)
