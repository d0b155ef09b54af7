"""Classifiers with their classes in their files, and the use of them."""

import dataclasses
import json
import os
import pathlib
import warnings
import zipfile
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import rich.table

from keras_otreg import checks
from keras_otreg.data import PictureFiles, picture_files, read_pictures
from keras_otreg.data.picture_files import parts_in
from keras_otreg.data.reading import decodable, suffixes
from keras_otreg.experiments.progress import console_for, say
from keras_otreg.files import unfinished_folder, whole, write_text
from keras_otreg.workflows.networks import network_in, picture_shape
from keras_otreg.workflows.report import on_test_pictures, rendered
from keras_otreg.workflows.results import CLASSES, MODEL, confusion, score
from keras_otreg.workflows.settings import FORMATS
from keras_otreg.workflows.stages import output_folder, write_table

PREDICTIONS, EVALUATION = "predictions.csv", "evaluation.html"


class Classes(NamedTuple):
    """Class names, in the order of the outputs, and the shape of pictures."""

    names: list[str]
    shape: tuple[int, int, int]

    def json(self) -> str:
        """Content of `classes.json`."""
        content = {"class_names": self.names, "picture_shape": self.shape}
        content["pixel_values"] = [0, 255]
        return json.dumps(content, indent=1, ensure_ascii=False)


def save_classifier(
    model: keras.Model, path: pathlib.Path, classes: Classes
) -> None:
    """Write a model, with its classes in the file and in `classes.json`."""
    with whole(path) as unfinished:
        model.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(CLASSES, classes.json())
    write_text(path.parent / CLASSES, classes.json())


def classes_of(path: pathlib.Path) -> Classes | None:
    """Read the classes of a model from its file, or from the one beside it."""
    text = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if CLASSES in archive.namelist():
                text = archive.read(CLASSES).decode("utf-8")
    beside = path.with_name(CLASSES)
    if text is None and beside.is_file():
        text = beside.read_text("utf-8")
    if text is None:
        return None
    try:
        found = json.loads(text)
        height, width, channels = found["picture_shape"]
        names = [str(name) for name in found["class_names"]]
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"cannot read {CLASSES} of {path}: {error!r}") from error
    return Classes(names, (height, width, channels))


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
        context = on_test_pictures(probabilities, files)
        context |= {"model": pathlib.Path(model), "found": found}
        page = rendered("evaluation.html.j2", context)
        write_table(pathlib.Path(out) / PREDICTIONS, rows)
        write_text(pathlib.Path(out) / EVALUATION, page)
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
        write_text(target.parent / CLASSES, classes.json())
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
