"""Activations of neurons on pictures."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_otreg.features import capture, samples_as_points

# Of the batches that layers are seen on.
BATCH = 32


def mean_activations(
    model: keras.Model, pictures: np.ndarray, paths: Sequence[str]
) -> list[np.ndarray]:
    """Activations of layers on pictures, maps averaged over positions.

    Args:
        model: A built `keras.Model`.
        pictures: Of shape `(pictures, height, width, channels)`.
        paths: Of the layers.

    Returns:
        For each layer, an array of shape `(pictures, neurons)`.
    """
    parts = []
    for start in range(0, len(pictures), BATCH):
        seen = pictures[start : start + BATCH]
        _, found = capture(model, seen, paths, training=False)
        points = [samples_as_points(found[path]) for path in paths]
        parts.append([keras.ops.convert_to_numpy(x) for x in points])
    return [np.concatenate(x) for x in zip(*parts, strict=True)]
