"""What a pretrained network expects of the pictures it is shown."""

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
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2L": 480,
    "EfficientNetV2M": 480,
    "EfficientNetV2S": 384,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
    "inception_resnet_v2": 299,
    "inception_v3": 299,
    "xception": 299,
}


NO_MODEL = (
    "A model is no preprocessing: name the network that it was made of, or "
    "pass its `preprocess_input`."
)


class Preparation(NamedTuple):
    """How pictures become what a network expects.

    Attributes:
        function: From batches of float32 pictures, 0 to 255, to the network's
            inputs; run in the graph of a `tf.data.Dataset`.
        size: `(height, width)`, or `None` if any will do.
        channels: How many, or `None` if any will do.
    """

    function: Callable[[Any], Any]
    size: tuple[int, int] | None = None
    channels: int | None = None


def preparation_for(network: Any) -> Preparation:
    """Finds out what a network expects.

    Args:
        network: The name of a network of `keras.applications` or of a module
            there, in upper or lower case, or one of these themselves;
            `"efficientnet-lite0"`; a function of pictures; or `None`.

    Returns:
        A `Preparation`.
    """
    if network is None:
        return Preparation(_unchanged)
    for known in _networks():
        if known.is_meant_by(network):
            return known.preparation()
    if isinstance(network, str):
        raise checks.invalid(
            "'efficientnet-lite0', the name of a network or a module of "
            "`keras.applications`, such as 'ResNet50', one of these "
            "themselves, a function of pictures, or None",
            f"network={network!r}",
            checks.near(network, [x.name for x in _networks()]),
            argument="network",
        )
    is_class = isinstance(network, type)
    has_weights = getattr(network, "trainable_weights", None)
    if not callable(network) or is_class or has_weights:
        raise checks.invalid(
            "the name of a network, a function of pictures, or None",
            f"network={network!r} (of type {type(network).__name__})",
            NO_MODEL,
            argument="network",
        )
    return Preparation(network)


class _Network(NamedTuple):
    """A pretrained network, or a module of several, by its name."""

    name: str
    itself: Any
    preprocess: Callable[[Any], Any]

    def is_meant_by(self, network):
        if isinstance(network, str):
            return network.lower() == self.name.lower()
        return network is self.itself

    def preparation(self):
        side = TRAINED_AT.get(self.name, USUAL_SIZE)
        function = _in_any_graph(self.preprocess)
        return Preparation(function, (side, side), CHANNELS)


@functools.cache
def _networks() -> tuple[_Network, ...]:
    found = [_Network(LITE0, efficientnet_lite0, _unchanged)]
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
            found.append(_Network(name, value, _channels_last(preprocess)))
    return tuple(found)


def _channels_last(preprocess):
    return functools.partial(preprocess, data_format="channels_last")


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
