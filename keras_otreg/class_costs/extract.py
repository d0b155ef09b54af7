"""Features and labels of a data set."""

import operator
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches
from keras_otreg.features.points import samples_as_points
from keras_otreg.features.taps import capture


def extract(
    model: keras.Model, at: str, dataset: Any, *, verbose: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Runs a model over a data set and keeps what one layer returns.

    Args:
        model: A built `keras.Model`; it runs in inference mode.
        at: Path of a layer. Maps are averaged over their positions.
        dataset: Batches of (inputs, labels): a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or any iterable of them.
        verbose: 0 for no progress bar.

    Returns:
        Features of shape `(samples, units)` and labels of shape `(samples,)`.

    Example:
        ```python
        source = class_costs.extract(model, "avg_pool", source_data)
        target = class_costs.extract(model, "avg_pool", target_data)
        C = class_costs.mkmmd(*source, *target)
        ```
    """
    checks.built_model(model, "model")
    checks.layer_path(at, "at")
    progress = keras.utils.Progbar(
        operator.length_hint(dataset) or None, verbose=verbose
    )
    features, labels = [], []
    for batch in batches(dataset):
        x, y, *_ = checks.labelled_batch(batch)
        _, found = capture(model, x, [at], training=False)
        features.append(
            keras.ops.convert_to_numpy(samples_as_points(found[at]))
        )
        labels.append(_classes(keras.ops.convert_to_numpy(y)))
        progress.add(1)
    checks.some_batches(features)
    return np.concatenate(features), np.concatenate(labels)


def _classes(labels):
    """Class numbers, also of one-hot labels."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(axis=1)
    return labels.reshape(-1)
