"""Use of a classifier that a command has trained."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import rich.table

from keras_otreg import checks
from keras_otreg.data import PictureFiles, picture_files, read_pictures
from keras_otreg.data.decoding import suffixes
from keras_otreg.data.picture_files import decodable, parts_in
from keras_otreg.experiments.progress import console_for, say
from keras_otreg.files import unfinished_folder, whole
from keras_otreg.workflows.class_names import Classes, classes_of, write_classes
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.report import on_test_pictures, rendered
from keras_otreg.workflows.results import MODEL, confusion, score
from keras_otreg.workflows.stages import output_folder, write_table

PREDICTIONS, EVALUATION = "predictions.csv", "evaluation.html"
# For each format of a command, that of Keras and the end of the file's name.
FORMATS = {
    "saved-model": ("tf_saved_model", ""),
    "tflite": ("litert", ".tflite"),
    "onnx": ("onnx", ".onnx"),
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A classifier on pictures of known classes.

    Attributes:
        accuracy: Share of correctly classified pictures.
        crossentropy: Mean cross-entropy.
        class_names: The classes.
        confusion: Counts of pictures, of shape `(classes, predicted classes)`.
        rows: For each picture its `file`, its `label`, the class `predicted`
            and its `probability`.
    """

    accuracy: float
    crossentropy: float
    class_names: list[str]
    confusion: np.ndarray
    rows: list[dict[str, Any]]


def predict(
    model: str | os.PathLike[str], pictures: Iterable[str | os.PathLike[str]]
) -> list[dict[str, Any]]:
    """Classify pictures, read as in the training.

    Args:
        model: Path of a `model.keras` of a command, or of its folder.
        pictures: Paths of pictures, or of folders that are searched for them.

    Returns:
        For each picture its `file`, the class `predicted`, its `probability`,
        and the probabilities of all classes in `probabilities`, by name.

    Raises:
        OSError: If the model cannot be read, or its classes are not known.
        ValueError: If there is no picture that can be read.

    Example:
        ```python
        rows = otreg.workflows.predict("tuned", ["photo.jpg", "more"])
        print(rows[0]["predicted"], rows[0]["probability"])
        ```
    """
    network, classes = _loaded(model)
    names, paths = classes.names, pictures_of(pictures)
    files = PictureFiles(paths, np.zeros(len(paths), "int32"), names)
    rows = []
    for path, row in zip(paths, _seen(network, classes, files), strict=True):
        found = dict(zip(names, map(float, row), strict=True))
        prediction = _prediction(names, row)
        rows.append({"file": path, **prediction, "probabilities": found})
    return rows


def evaluate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Test a classifier on a folder of pictures.

    Args:
        model: As for `predict`.
        data: A folder with a folder for each class, or with such a folder for
            testing, whose pictures then are the ones.
        out: Folder for `evaluation.html`, with the confusion matrix and the
            most confident mistakes, and `predictions.csv`; none if not given.
        quiet: Whether to print nothing.

    Returns:
        The `Evaluation`.

    Raises:
        OSError: As for `predict`.
        ValueError: If there are no pictures, or of other classes.

    Example:
        ```python
        found = otreg.workflows.evaluate("tuned", "clothes/test")
        print(found.accuracy)
        ```
    """
    console = console_for(quiet)
    network, classes = _loaded(model)
    names = classes.names
    folder = checks.folder(data, "data")
    if out is not None:
        output_folder(pathlib.Path(out), folder)
    files = picture_files(parts_in(folder, names).get("test", folder), names)
    probabilities = _seen(network, classes, files)
    accuracy, loss = score(probabilities, files.labels)
    rows = [
        {"file": path, "label": names[label], **_prediction(names, row)}
        for path, label, row in zip(*files[:2], probabilities, strict=True)
    ]
    counts = confusion(probabilities, files.labels, len(names))
    found = Evaluation(accuracy, -loss, names, counts, rows)
    console.print(_table(found))
    if out is not None:
        page = rendered(
            "evaluation.html.j2",
            {
                "model": pathlib.Path(model),
                "count": len(files.paths),
                "accuracy": found.accuracy,
                "crossentropy": found.crossentropy,
                **on_test_pictures(probabilities, files),
            },
        )
        write_table(pathlib.Path(out) / PREDICTIONS, rows)
        with whole(pathlib.Path(out) / EVALUATION) as unfinished:
            unfinished.write_text(page, "utf-8")
        say(console, f"Written to {out}: {EVALUATION}, {PREDICTIONS}")
    return found


def export(
    model: str | os.PathLike[str],
    format: str = "saved-model",
    *,
    out: str | os.PathLike[str] | None = None,
) -> pathlib.Path:
    """Convert a model for other programs, by `keras.Model.export`.

    Args:
        model: As for `predict`.
        format: `"saved-model"`, `"tflite"` or `"onnx"`.
        out: Where to; beside the model if not given. The end of a file's name
            is added if it lacks it.

    Returns:
        The path of what was written. `classes.json` is beside it.

    Raises:
        OSError: If the model cannot be read, or there is something at `out`.
        ImportError: If a package is missing.

    Example:
        ```python
        otreg.workflows.export("tuned", "tflite")
        ```
    """
    checks.one_of(format, tuple(FORMATS), "format")
    path = _model_file(model)
    known, suffix = FORMATS[format]
    name = path.stem if suffix else "saved_model"
    target = pathlib.Path(out) if out else path.with_name(name + suffix)
    if not target.name.endswith(suffix):
        target = target.with_name(target.name + suffix)
    if target.exists():
        raise OSError(f"cannot export to {target}: it exists. Choose another")
    network = network_in(path, "model")
    # Keras exports to ONNX only a model that was called.
    network(np.zeros((1, *picture_shape(network, 32, "model")), "float32"))
    output_folder(target.parent)
    with unfinished_folder(target) as folder:
        unfinished = folder / target.name
        network.export(unfinished, format=known, verbose=False)
        os.replace(unfinished, target)
    classes = classes_of(path)
    if classes is not None and target.parent != path.parent:
        write_classes(target.parent, classes)
    return target


def _model_file(path):
    path = pathlib.Path(path)
    return path / MODEL if path.is_dir() else path


def _loaded(model) -> tuple[keras.Model, Classes]:
    path = _model_file(model)
    network = network_in(path, "model")
    classes = classes_of(path)
    if classes is None or network.output_shape[1:] != (len(classes.names),):
        raise OSError(
            f"no classes of {path}: expected a model.keras that finetune, "
            "compress, joint or tune has written, or its classes.json beside it"
        )
    return network, classes


def _seen(network, classes: Classes, files: PictureFiles) -> np.ndarray:
    height, width, channels = classes.shape
    batches = read_pictures(files, (height, width), channels=channels)
    return network.predict(batches, verbose=0)


def _prediction(names, row):
    return {"predicted": names[row.argmax()], "probability": float(row.max())}


def pictures_of(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Files that can be read as pictures, those of folders among them."""
    named = [pathlib.Path(x) for x in paths]
    missing = [str(x) for x in named if not x.exists()]
    if missing:
        raise OSError(f"no pictures {', '.join(missing)}")
    files = []
    for path in named:
        if not path.is_dir():
            files.append(path)
            continue
        for inner in sorted(path.rglob("*")):
            parts = inner.relative_to(path).parts
            is_hidden = any(part.startswith(".") for part in parts)
            if inner.suffix.lower() in suffixes() and not is_hidden:
                files.append(inner)
    readable = decodable([str(x) for x in files])
    if not readable:
        expected = f"pictures in '{named[0]}'"
        raise checks.invalid(expected, "none that can be read")
    left_out = [str(x) for x in files if str(x) not in set(readable)]
    if left_out:
        reason = "Left out files that cannot be read as pictures: "
        warnings.warn(reason + ", ".join(left_out), stacklevel=3)
    return readable


def _table(found):
    """For each class its pictures, and the most frequent mistake."""
    names, count = found.class_names, len(found.rows)
    table = rich.table.Table(
        *("class", "pictures", "correct", "most often predicted as"),
        title=f"Accuracy {found.accuracy:.3f} ({round(found.accuracy * count)} "
        f"of {count} pictures)",
    )
    for own, (name, row) in enumerate(zip(names, found.confusion, strict=True)):
        others = np.where(np.arange(len(row)) == own, 0, row)
        most = others.argmax()
        mistake = f"{names[most]} ({others[most]})" if others.any() else ""
        table.add_row(name, str(row.sum()), str(row[own]), mistake)
    return table
