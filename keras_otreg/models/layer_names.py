"""Names of layers that Keras would number anew."""

from typing import Any

import keras

from keras_otreg.features.walk import walk


def names_of(network: Any) -> list[str]:
    """The name of each layer of a network, in the order of `walk`."""
    return [layer.name for _, layer in walk(network, into_loops=True)]


def names_by_part(model: Any) -> dict[str, list[str]]:
    """`names_of` both networks of a `TransferModel`, by its arguments."""
    parts = {"student": model.student, "teacher": model.teacher}
    return {part: names_of(x) for part, x in parts.items() if x is not None}


def take_names(network: Any, names: list[str]) -> None:
    """Gives the layers of a network the names of those of its original.

    Those that a subclassed model makes without a name have another in each
    copy of it: a path that led to one would lead to nothing, or elsewhere.

    Args:
        network: The `keras.Model` that is changed; anything else stays as it
            is, and so does a network of another number of layers.
        names: What `names_of` returned of the original.
    """
    if not isinstance(network, keras.Model):
        return
    layers = [layer for _, layer in walk(network, into_loops=True)]
    if len(layers) != len(names):
        return
    for layer, name in zip(layers, names, strict=True):
        if layer.name != name:
            layer.name = name
