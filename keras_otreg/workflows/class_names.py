"""Class names and picture size of a classifier, beside and inside its file."""

import json
import pathlib
import zipfile
from typing import NamedTuple

import keras

from keras_otreg.files import whole

FILE = "classes.json"


class Classes(NamedTuple):
    """Class names, in the order of the outputs, and the shape of pictures."""

    names: list[str]
    shape: tuple[int, int, int]


def save_classifier(
    model: keras.Model, path: pathlib.Path, classes: Classes
) -> None:
    """Write a model, with its classes in the file and in `classes.json`.

    A `.keras` file is an archive, in which Keras leaves other files alone;
    they are lost when Keras saves the model again.
    """
    with whole(path) as unfinished:
        model.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(FILE, _text(classes))
    write_classes(path.parent, classes)


def write_classes(folder: pathlib.Path, classes: Classes) -> None:
    """Write `classes.json` into a folder."""
    with whole(folder / FILE) as unfinished:
        unfinished.write_text(_text(classes), "utf-8")


def _text(classes):
    content = {
        "class_names": classes.names,
        "picture_shape": classes.shape,
        "pixel_values": [0, 255],
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def classes_of(path: pathlib.Path) -> Classes | None:
    """Read the classes of a model from its file, or from the one beside it."""
    text = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if FILE in archive.namelist():
                text = archive.read(FILE).decode("utf-8")
    beside = path.with_name(FILE)
    if text is None and beside.is_file():
        text = beside.read_text("utf-8")
    if text is None:
        return None
    try:
        found = json.loads(text)
        height, width, channels = found["picture_shape"]
        names = [str(name) for name in found["class_names"]]
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"cannot read {FILE} of {path}: {error!r}") from error
    return Classes(names, (height, width, channels))
