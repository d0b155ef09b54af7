"""Networks between a start and what was tuned from it."""

from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.compression.graph import Graph, Run, Samples, moments
from keras_otreg.features.batches import predictions
from keras_otreg.models.teacher import copy_of

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
VALIDATION = "validation"


def between(
    start: keras.Model,
    tuned: keras.Model,
    share: float | str,
    *,
    samples: Any = None,
    validation: Any = None,
) -> keras.Model:
    """Return a network whose weights lie between those of two.

    They are `start + share * (tuned - start)`; at 0 and 1 those of the ends, to
    the last bit.

    Args:
        start: The network before it was tuned. It is not changed.
        tuned: The same network afterwards. It is not changed.
        share: From 0 to 1; or `"validation"` for the best of 0, 1/4, 1/2,
            3/4 and 1 in validation, by accuracy and then by cross-entropy.
        samples: Inputs, or a data set of batches, on which statistics of
            `BatchNormalization` are estimated anew; they are interpolated as
            the weights are if not given.
        validation: For `share="validation"`: a pair `(x, y)` or a data set, of
            numbers of classes, for a network that predicts probabilities.

    Raises:
        ValueError: If the networks have other weights, or the share is
            not from 0 to 1.

    Example:
        ```python
        half = otreg.between(start, tuned, 0.5)
        ```

    References:
        Wortsman et al. (CVPR 2022), arXiv 2109.01903.
    """
    one, other = ([w.shape for w in x.weights] for x in (start, tuned))
    if one != other:
        raise checks.invalid(
            "two networks with weights of the same shapes",
            f"{len(one)} weights and {len(other)} weights, or other shapes",
        )
    if share == VALIDATION:
        if validation is None:
            raise checks.invalid(
                "`validation` data to choose the share by", "None"
            )
        return best_between(start, tuned, validation, samples)[1]
    expected = "a number from 0 to 1, or 'validation'"
    checks.number(share, "share", expected, lambda x: 0.0 <= x <= 1.0)
    model = copy_of(tuned)
    _set(model, start, tuned, share, samples)
    return model


def best_between(
    start: keras.Model, tuned: keras.Model, validation: Any, samples: Any = None
) -> tuple[float, keras.Model]:
    """Return the share that is best on validation data, and its network."""
    model = copy_of(tuned)

    def score(share):
        """Accuracy and minus the cross-entropy."""
        _set(model, start, tuned, share, samples)
        found, labels, _ = predictions(model, validation)
        labels = labels.reshape(-1).astype(int)
        if found.shape[1] == 1:
            found = np.concatenate([1.0 - found, found], axis=1)
        chosen = found[np.arange(len(labels)), labels]
        right = found.argmax(axis=1) == labels
        return right.mean(), np.log(np.maximum(chosen, 1e-12)).mean()

    share = max(SHARES, key=score)
    _set(model, start, tuned, share, samples)
    return share, model


def _set(model, start, tuned, share, samples):
    """Give a copy of the tuned network the weights between both."""
    networks = model.weights, start.weights, tuned.weights
    for own, *ends in zip(*networks, strict=True):
        if keras.backend.is_float_dtype(own.dtype):
            first, last = map(keras.ops.convert_to_numpy, ends)
            mixed = first + share * (last - first)
            own.assign({0.0: first, 1.0: last}.get(share, mixed))
    if samples is None:
        return
    # Statistics are those of the samples.
    samples, run = Samples(samples, model), Run(Graph(model))
    for index, call in enumerate(run.graph.calls):
        if isinstance(call.layer, keras.layers.BatchNormalization):
            mean, variance = moments(samples, run, index)
            call.layer.moving_mean.assign(mean)
            call.layer.moving_variance.assign(variance)
