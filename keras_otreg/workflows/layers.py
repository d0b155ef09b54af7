"""Which layers of a network are worth comparing."""

import keras
import numpy as np

from keras_otreg.features.taps import activation_specs
from keras_otreg.features.walk import walk
from keras_otreg.workflows.heads import place_of

layers = keras.layers
# Where branches meet, or a block says that it ends.
ENDS = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Identity,
    layers.Maximum,
    layers.Multiply,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    keras.Model,
)
# Layers of neurons, where they have an activation themselves.
NEURONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU)
FEWEST = 3


def main_layers(model: keras.Model, most: int) -> list[str]:
    """Paths of the layers that end the parts of a network.

    Those are where branches meet, and poolings of all positions; in a plain
    chain of layers, all behind which there is an activation. What comes behind
    the layer that the head reads does not count.

    Args:
        model: A built `keras.Model`.
        most: How many at most, evenly spaced; the last one is among them.

    Returns:
        Paths, from the input to the output.
    """
    specs = activation_specs(model) or {}
    last = place_of(model)
    usable = []
    for path, layer in walk(model):
        if len(specs.get(path, ())) == 1 and _has_neurons(specs[path][0]):
            usable.append((path, layer))
        if path == last:
            break
    found = [p for p, x in usable if isinstance(x, ENDS) or p == last]
    if len(found) < FEWEST:
        found = [p for p, x in usable if _is_active(x) or p == last]
    return thinned(found, most)


def thinned(paths: list[str], most: int) -> list[str]:
    """At most so many paths, evenly spaced, the last one among them."""
    count = min(most, len(paths))
    places = np.linspace(0, len(paths) - 1, count + 1)[1:] if count else []
    if count == len(paths):
        return paths
    return [paths[int(place)] for place in places]


def _is_active(layer):
    activation = getattr(layer, "activation", keras.activations.linear)
    own = isinstance(layer, NEURONS)
    return own or activation is not keras.activations.linear


def _has_neurons(output):
    shape = getattr(output, "shape", ())
    return len(shape) > 1 and shape[-1] is not None and shape[-1] > 1
