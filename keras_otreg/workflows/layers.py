"""Layers that a user names, and those that end the parts of a network."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers as L

from keras_otreg import checks
from keras_otreg.features.taps import activation_specs
from keras_otreg.features.walk import find_layer, split_call, walk
from keras_otreg.workflows.heads import GLOBAL_POOLINGS, place_of

# Where branches meet, or a block says that it ends.
MERGES = (L.Add, L.Average, L.Concatenate, L.Maximum)
ENDS = (*MERGES, L.Identity, keras.Model)
POOLINGS = (L.GlobalAveragePooling1D, *GLOBAL_POOLINGS)
# Of channels, inside a block.
GATES = L.Multiply
# Layers of neurons, where they have an activation themselves.
NEURONS = (L.Activation, L.ReLU, L.LeakyReLU, L.PReLU)
FEWEST = 3
INSPECT = "`keras-otreg inspect MODEL.keras` lists those of a file"


def known_layers(
    model: keras.Model,
    paths: Sequence[str],
    name: str,
    features: str | None = None,
) -> list[str]:
    """Return the paths of layers if a network has them all.

    `features` is the layer behind which it has a new head, if it has one;
    `name` is that of the network, for an error, which lists near matches.
    """
    way_out = f"{INSPECT}."
    if features is not None:
        way_out = f"{INSPECT}; a new head replaces those behind {features!r}."
    layers = dict(walk(model))
    for path in paths:
        layer, _ = split_call(path, layers)
        checks.known_layer(layer, layers, name, way_out)
        find_layer(model, path)
    return [*paths]


def main_layers(model: keras.Model, most: int) -> list[str]:
    """Return at most some paths of layers that end the parts of a network.

    Those are where branches meet, and poolings of all positions, but not the
    gates of channels inside a block; in a plain chain of layers, all behind
    which there is an activation. What comes behind the layer that the head
    reads does not count. They are evenly spaced, the last one among them.
    """
    specs = activation_specs(model) or {}
    last = place_of(model)
    usable = _usable(model, specs, last)
    gates = [k for k, (_, x) in enumerate(usable) if isinstance(x, GATES)]
    # One before a gate is a part of it.
    pooled = usable[gates[-1] :] if gates else usable
    ends = {p for p, x in usable if isinstance(x, ENDS) or p == last}
    ends |= {p for p, x in pooled if isinstance(x, POOLINGS)}
    found = [path for path, _ in usable if path in ends]
    if len(found) < FEWEST:
        found = [p for p, x in usable if _is_active(x) or p == last]
    return thinned(found, most)


def _usable(model, specs, last):
    """Layers that are called once and have neurons, up to the last one."""
    usable, inner = [], set()
    for path, layer in _innermost_first(model):
        if len(specs.get(path, ())) == 1 and _has_neurons(specs[path][0]):
            usable.append((path, layer))
            if isinstance(layer, keras.Model):
                # Its last layer returns the same.
                inner.add(f"{path}/{layer.layers[-1].name}")
        if path == last:
            break
    return [(path, layer) for path, layer in usable if path not in inner]


def _innermost_first(model):
    """Yield what `walk` does, but networks behind what is inside them."""
    around = []
    for path, layer in walk(model):
        while around and not path.startswith(f"{around[-1][0]}/"):
            yield around.pop()
        around.append((path, layer))
    yield from reversed(around)


def thinned(paths: list[str], most: int) -> list[str]:
    """At most so many paths, evenly spaced, the last one among them."""
    if most >= len(paths):
        return paths
    places = np.linspace(0, len(paths) - 1, most + 1)[1:]
    return [paths[int(place)] for place in places]


def _is_active(layer):
    activation = getattr(layer, "activation", keras.activations.linear)
    own = isinstance(layer, (*NEURONS, keras.Model))
    return own or activation is not keras.activations.linear


def _has_neurons(output):
    shape = getattr(output, "shape", ())
    return len(shape) > 1 and shape[-1] is not None and shape[-1] > 1
