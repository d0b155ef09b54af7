"""Networks that the command line is told of by name."""

import pathlib

import keras
import numpy as np

from keras_otreg.data import efficientnet_lite0
from keras_otreg.data.preprocessing import LITE0
from keras_otreg.models import TransferModel
from keras_otreg.models.copies import copy_of
from keras_otreg.workflows.applications import application
from keras_otreg.workflows.network_file import network_in

FEATURES = "avg_pool"
HEAD = "head"
# What may come behind the layer of neurons that a classifier ends with.
ENDS = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Softmax,
)


def teacher_named(name: str, size: int) -> keras.Model:
    """Loads the network to learn from.

    Args:
        name: `"efficientnet-lite0"`, the path of a `.keras` file, or the name
            of a network of `keras.applications`.
        size: Height and width of the pictures, where the network is not in a
            file.

    Returns:
        A built `keras.Model`.

    Raises:
        OSError: If there is no such network, or it cannot be downloaded.
        ImportError: If a package that holds weights is not installed.
    """
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

    Args:
        model: A built `keras.Model`.
        size: Height and width, where the network takes any.
        role: What the network is called in an error.

    Raises:
        OSError: If it does not take pictures, or returns several tensors.
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
    shape = getattr(model, "input_shape", None)
    is_one = isinstance(shape, tuple) and len(shape) == 4
    if not is_one or shape[-1] not in (1, 3):
        raise OSError(
            f"the {role} {model.name} takes inputs of shape {shape}: expected "
            "one picture, (None, height, width, channels) with 1 or 3 channels"
        )
    return shape[1] or size, shape[2] or size, shape[3]


def features_of(model: keras.Model) -> str:
    """The layer whose output goes into a new head, if none is named.

    It is `avg_pool` where there is one, else what the last layer of neurons
    reads, which may be a convolution of one pixel, or, in a network without a
    head, the last layer.
    """
    names = [layer.name for layer in model.layers]
    if FEATURES in names:
        return FEATURES
    last = len(names) - 1
    while isinstance(model.layers[last], ENDS) and last > 0:
        last -= 1
    return names[max(0, last - 1) if _is_head(model, last) else -1]


def _is_head(model, place):
    """Whether a layer returns what a network returns: a number per class."""
    layer = model.layers[place]
    if isinstance(layer, keras.layers.Dense):
        return True
    is_pixel = getattr(layer, "kernel_size", None) == (1, 1)
    if isinstance(layer, keras.layers.Conv2D) and is_pixel:
        return getattr(model, "output_shape", ())[1:] == (layer.filters,)
    return False


def place_of(model: keras.Model) -> str:
    """The layer of neurons that the head reads, for a penalty.

    In training a dropout between them shows the head only some.
    """
    names = [layer.name for layer in model.layers]
    place = names.index(features_of(model))
    while isinstance(model.layers[place], keras.layers.Dropout) and place > 0:
        place -= 1
    return names[place]


def with_new_head(
    teacher: keras.Model, at: str, classes: int, seed: int
) -> keras.Model:
    """A copy of a network up to a layer, with a head for other classes.

    Args:
        teacher: A Functional or Sequential model; it is not changed.
        at: Name of a layer of it. Of maps, the head sees the means.
        classes: Of the new task.
        seed: Of the head's initial weights: the same gives the same.

    Returns:
        A model that predicts probabilities of the classes.

    Raises:
        OSError: If the teacher has no such layer, or cannot be cut there.
    """
    names = [layer.name for layer in teacher.layers]
    if at not in names:
        raise OSError(f"the teacher has no layer {at!r}; it has {names}")
    try:
        body = keras.Model(teacher.inputs, teacher.get_layer(at).output)
    except Exception as error:
        raise OSError(
            f"the teacher {teacher.name} cannot be cut at {at!r}: expected a "
            "Functional or a Sequential model. Received: "
            f"{type(teacher).__name__}"
        ) from error
    copy = copy_of(body)
    outputs = copy.outputs[0]
    if len(outputs.shape) == 4:
        outputs = keras.layers.GlobalAveragePooling2D(name="pooled")(outputs)
    elif len(outputs.shape) > 2:
        outputs = keras.layers.Flatten(name="flat")(outputs)
    head = keras.layers.Dense(
        classes,
        "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name=HEAD,
    )
    # Not a list of one: that is another structure than a tensor.
    (inputs,) = copy.inputs
    return keras.Model(inputs, head(outputs), name="student")


def classifier(
    model: keras.Model, classes: int, seed: int, role: str
) -> keras.Model:
    """A copy of a network that predicts probabilities of some classes.

    Args:
        model: A network, with a head for other classes or for these.
        classes: How many.
        seed: Of a new head, if it needs one.
        role: What the network is called in an error.

    Returns:
        The same network if it predicts so many classes, with a softmax behind
        it if it predicts logits; else the network under a new head.
    """
    if model.output_shape != (None, classes):
        return with_new_head(model, features_of(model), classes, seed)
    copy = copy_of(model)
    height, width, channels = picture_shape(model, 32, role)
    noise = np.random.default_rng(0).uniform(
        0.0, 255.0, size=(8, height, width, channels)
    )
    found = copy.predict_on_batch(noise.astype("float32"))
    if found.min() >= 0.0 and np.allclose(found.sum(axis=-1), 1.0, atol=1e-3):
        return copy
    (inputs,) = copy.inputs
    outputs = keras.layers.Softmax(name="probabilities")(copy.outputs[0])
    return keras.Model(inputs, outputs, name=model.name)


def without_batch_statistics(model: keras.Model) -> keras.Model:
    """Freezes the batch normalisation of a network, which is changed."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            without_batch_statistics(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
