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
from keras_otreg.data import PictureFiles
from keras_otreg.data.decoding import decoded_file
from keras_otreg.workflows.results import ReportData, confusion, ended, surest

SIZE = 104


@functools.lru_cache(maxsize=4096)
def thumbnail(path: str) -> str:
    """A picture as the value of `src`, square, its margins cut off."""
    # As networks are shown it: Pillow makes white of 16 bits a channel.
    pixels = keras.ops.image.resize(
        decoded_file(path),
        (SIZE, SIZE),
        crop_to_aspect_ratio=True,
        antialias=True,
    )
    picture = keras.utils.array_to_img(pixels, scale=False)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{code}"


EXTRA = "pictures"
EXAMPLES = 12
OPTION = re.compile(r"(--[a-z-]+(?: \d+)?)")
FILTERS = {
    "percent": lambda share: f"{100.0 * share:.1f}\u202f%",
    "options": lambda text: _with_options(text),
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
        "rows": data.rows(),
        "curves": _curves(data),
        "neurons": _neurons(data),
        "labels": data.labels,
        "class_plan": _figure(data.class_plan, "plan between the classes"),
        **on_test_pictures(probabilities, data.parts["test"]),
    }
    return rendered("report.html.j2", context)


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """Fill in one of the templates of this folder."""
    jinja2 = checks.installed("jinja2", EXTRA, "Reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_otreg.workflows"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(context)


def on_test_pictures(
    predictions: np.ndarray, files: PictureFiles
) -> dict[str, Any]:
    """The part of a template's context that is about test pictures."""
    names = files.class_names
    counts = confusion(predictions, files.labels, len(names))
    found = {
        name: surest(predictions, files.labels, name == "right", EXAMPLES)
        for name in ("wrong", "right")
    }
    return {
        "names": names,
        "counts": counts.tolist(),
        "most_confused": _most_confused(counts, names),
        **{k: examples(files, predictions, rows) for k, rows in found.items()},
    }


def examples(
    files: PictureFiles, probabilities: np.ndarray, rows: np.ndarray
) -> list[dict[str, Any]]:
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
        figure = plots.learning_curves(
            {f"{part} pictures": lines},
            steps,
            xlabel="epoch",
            ylabel="accuracy",
        )
        label = f"accuracy on {part} pictures in each epoch"
        figures.append(_figure(figure, label))
    return figures


def _neurons(data):
    found = data.neurons
    if found is None:
        return None
    aligned = ["after training"] if found.same else []
    plan = plots.plan({"after training": found.plan}, aligned=aligned)
    roles = {"moved": found.moved, "kept": found.kept}
    label = "plan from the teacher's to the student's neurons"
    return {
        "plan": _figure(plan, label),
        "blurred": found.entropy > UNIFORM,
        **{k: _roles(data, found.roles(v)) for k, v in roles.items()},
    }


def _roles(data, roles):
    """Roles with pictures in the place of their rows."""
    paths = data.seen.paths
    for role in roles:
        for name in ("was", "is_now"):
            role[name] = [thumbnail(paths[row]) for row in role[name]]
    return roles


def _with_options(text):
    """Text whose options are set as code, without line breaks in them."""
    markup = checks.installed("markupsafe", EXTRA, "Reports")
    code = r'<code class="option">\1</code>'
    return markup.Markup(OPTION.sub(code, str(markup.escape(text))))


def _figure(figure, label):
    if figure is None:
        return None
    markup = checks.installed("markupsafe", EXTRA, "Reports")
    return markup.Markup(plots.inline_svg(figure, label))
