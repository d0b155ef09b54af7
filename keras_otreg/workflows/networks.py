"""Networks that are given by name, and the pictures that they take."""

import os
import pathlib
from typing import Any

import keras

from keras_otreg.data import efficientnet_lite0
from keras_otreg.data.preprocessing import LITE0
from keras_otreg.models import TransferModel
from keras_otreg.workflows.applications import application
from keras_otreg.workflows.network_file import network_in


def title_of(teacher: str | os.PathLike[str] | keras.Model) -> str:
    """Name of a network that is given by name or as a model."""
    if isinstance(teacher, keras.Model):
        return teacher.name
    return os.fspath(teacher)


def teacher_named(
    name: str | os.PathLike[str] | keras.Model, size: int
) -> keras.Model:
    """Load the network to learn from, for pictures of a size.

    It is `"efficientnet-lite0"`, the path of a `.keras` file, the name of a
    network of `keras.applications`, or a built model.
    """
    if isinstance(name, keras.Model):
        return name
    name = os.fspath(name)
    if name == LITE0:
        return efficientnet_lite0((size, size, 3))
    path = pathlib.Path(name)
    if path.is_file():
        return network_in(path, "teacher")
    found = None if path.suffix else application(name, size)
    if found is None:
        raise OSError(
            f"no teacher {name!r}: expected {LITE0}, the path of a .keras "
            "file, or a network of keras.applications such as MobileNetV2"
        )
    return found


def picture_shape(
    model: keras.Model, size: int, role: str = "teacher"
) -> tuple[int, int, int]:
    """Height, width and channels of the pictures that a network takes.

    Where it takes any size, that is `size`. `role` is its name in an error.
    """
    if isinstance(model, TransferModel):
        raise OSError(
            f"the {role} {model.name} is a TransferModel: expected a plain "
            "model. Save its student, `model.student.save(path)`, and take that"
        )
    outputs = getattr(model, "outputs", None) or [None]
    if len(outputs) > 1:
        raise OSError(
            f"the {role} {model.name} has {len(outputs)} outputs: expected one"
        )
    shape: Any = getattr(model, "input_shape", None)
    is_one = isinstance(shape, tuple) and len(shape) == 4
    if not is_one or shape[-1] not in (1, 3):
        raise OSError(
            f"the {role} {model.name} takes inputs of shape {shape}: expected "
            "one picture, (None, height, width, channels) with 1 or 3 channels"
        )
    return shape[1] or size, shape[2] or size, shape[3]


def without_batch_statistics(model: keras.Model) -> keras.Model:
    """Freeze the batch normalisation of a network, which is changed."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            without_batch_statistics(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
