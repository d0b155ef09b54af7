"""Preprocessing that a pretrained network expects of its pictures."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.efficientnet_lite0 import CHANNELS, efficientnet_lite0

LITE0 = "efficientnet-lite0"
USUAL_SIZE = 224
# Networks, and modules of one, that were trained at another size.
TRAINED_AT = {
    "efficientnetb1": 240,
    "efficientnetb2": 260,
    "efficientnetb3": 300,
    "efficientnetb4": 380,
    "efficientnetb5": 456,
    "efficientnetb6": 528,
    "efficientnetb7": 600,
    "efficientnetv2b1": 240,
    "efficientnetv2b2": 260,
    "efficientnetv2b3": 300,
    "efficientnetv2l": 480,
    "efficientnetv2m": 480,
    "efficientnetv2s": 384,
    "inceptionresnetv2": 299,
    "inceptionv3": 299,
    "nasnetlarge": 331,
    "xception": 299,
}
NO_MODEL = (
    "A model is no preprocessing: name the network that it was made of, or "
    "pass its `preprocess_input`."
)


class Preparation(NamedTuple):
    """Preprocessing and picture shape of a network."""

    function: Callable[[Any], Any]
    size: tuple[int, int] | None = None
    channels: int | None = None


def preparation_for(network: Any) -> Preparation:
    """Find the preprocessing of a network."""
    if network is None:
        return Preparation(_unchanged)
    lower = network.lower() if isinstance(network, str) else None
    for name, itself, preprocess in _networks():
        if network is itself or lower == name.lower():
            side = TRAINED_AT.get(name.replace("_", "").lower(), USUAL_SIZE)
            function = _in_any_graph(preprocess)
            return Preparation(function, (side, side), CHANNELS)
    has_weights = getattr(network, "trainable_weights", None)
    if callable(network) and not isinstance(network, type) and not has_weights:
        return Preparation(network)
    way_out = NO_MODEL
    if isinstance(network, str):
        way_out = checks.near(network, [x for x, *_ in _networks()])
    raise checks.invalid(
        "'efficientnet-lite0', the name of a network or a module of "
        "`keras.applications`, such as 'ResNet50', one of these themselves, "
        "a function of pictures, or None",
        f"network={network!r} (of type {type(network).__name__})",
        way_out,
        argument="network",
    )


@functools.cache
def _networks():
    """Name, function or module, and preprocessing of each network."""
    found = [(LITE0, efficientnet_lite0, _unchanged)]
    # Xception and the module xception are one word: a network comes first.
    entries = sorted(
        vars(keras.applications).items(),
        key=lambda entry: not inspect.isfunction(entry[1]),
    )
    for name, value in entries:
        module = value
        if inspect.isfunction(value):
            # Some networks are in none of the modules that Keras shows, but
            # each is defined in a file that is called like one of them.
            file = value.__module__.rsplit(".", 1)[-1]
            module = getattr(keras.applications, file)
        preprocess = getattr(module, "preprocess_input", None)
        if preprocess is not None and name != "imagenet_utils":
            last = functools.partial(preprocess, data_format="channels_last")
            found.append((name, value, last))
    return found


def _unchanged(pictures):
    return pictures


def _in_any_graph(function):
    """The function, for graphs of TensorFlow, whatever the backend."""
    if keras.backend.backend() == "tensorflow":
        return function

    def prepared(pictures):
        # A copy, because NumPy arrays are changed in place.
        (found,) = tf.numpy_function(
            lambda x: [function(x.copy())], [pictures], [tf.float32]
        )
        return tf.ensure_shape(found, pictures.shape)

    return prepared
