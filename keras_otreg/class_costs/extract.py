"""Features and labels of a data set."""

import operator
from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches, class_labels
from keras_otreg.features.points import samples_as_points
from keras_otreg.features.taps import capture


def extract(
    model: keras.Model, at: str, dataset: Any, *, verbose: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over a data set and return what one layer returns.

    Args:
        model: A built `keras.Model`; it runs in inference mode.
        at: Path of a layer. Maps are averaged over their positions.
        dataset: Batches of (inputs, labels), of any kind.
        verbose: 0 for no progress bar.

    Returns:
        Features of shape `(samples, units)` and labels of shape `(samples,)`.

    Example:
        ```python
        features, labels = class_costs.extract(model, "avg_pool", train)
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
        points = samples_as_points(found[at])
        features.append(keras.ops.convert_to_numpy(points))
        labels.append(class_labels(keras.ops.convert_to_numpy(y)))
        progress.add(1)
    checks.some_batches(features)
    return np.concatenate(features), np.concatenate(labels)
