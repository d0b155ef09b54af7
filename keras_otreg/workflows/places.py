"""Layers that a user has named."""

from collections.abc import Sequence

import keras

from keras_otreg import checks
from keras_otreg.features.walk import find_layer, split_call, walk

INSPECT = "`keras-otreg inspect MODEL.keras` lists those of a file"


def known_layers(
    model: keras.Model,
    paths: Sequence[str],
    name: str,
    features: str | None = None,
) -> list[str]:
    """Paths of layers, if a network has them all.

    Args:
        model: A built `keras.Model`.
        paths: What the user has named.
        name: What the user calls the network.
        features: The layer behind which it has a new head, if it has one.

    Returns:
        The paths.

    Raises:
        ValueError: If there is no such layer; the message lists near matches.
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
