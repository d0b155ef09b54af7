"""Importance of the channels of a layer for a task, as DELTA weights them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.batches import batches, softmax
from keras_otreg.features.taps import changing, find_layer, recording


def channel_weights(
    model: keras.Model,
    at: str,
    dataset: Any,
    loss: Any = "sparse_categorical_crossentropy",
    *,
    temperature: float = 5.0,
    copies: int = 32,
) -> np.ndarray:
    """Weight channels by the rise of the task's loss without them.

    A channel is switched off by setting it to zero in the output of its
    layer. The mean losses over the data, one for each channel, are
    standardised, and go through a softmax, as in the authors' code. These
    weights, of shape `(channels,)`, are for `losses.FeatureMap`.

    Args:
        model: A built `keras.Model` that solves the target task: the
            pretrained network, with a head that was trained while all else was
            frozen. It runs in inference mode.
        at: Path of a layer, which the model calls once.
        dataset: Batches of (inputs, labels), of any kind. A few will do: the
            authors take four.
        loss: A `keras.losses.Loss`, or the name of one.
        temperature: Of the softmax; towards infinity all count the same.
        copies: Copies of a batch, each without another channel, that go
            through the model together.

    Raises:
        ValueError: If the path is unknown, or the layer is called repeatedly
            or returns several tensors; if there is no loss.

    Example:
        ```python
        w = otreg.features.channel_weights(teacher, "block3_out", train)
        penalty = otreg.Penalty(otreg.losses.FeatureMap(w), at="block3_out")
        ```

    References:
        Li et al., "DELTA: deep learning transfer using feature map with
        attention for convolutional networks" (ICLR 2019).
    """
    checks.built_model(model, "model")
    layer = find_layer(model, checks.layer_path(at, "at"))
    checks.positive(temperature, "temperature")
    checks.count(copies, "copies")
    known = (str, dict, keras.losses.Loss, Callable)
    expected = "a `keras.losses.Loss` or the name of one"
    checks.instance_of(loss, known, "loss", expected)
    loss = keras.losses.get(loss)
    values = loss.call if isinstance(loss, keras.losses.Loss) else loss
    totals, sizes = [], []
    for batch in batches(dataset):
        x, y, *_ = checks.labelled_batch(batch)
        channels, rank = _channels(model, layer, x, at)
        rows = np.array_split(1.0 - np.eye(channels), -(-channels // copies))
        found = [_losses(model, layer, x, y, m, rank, values) for m in rows]
        sizes.append(len(keras.tree.flatten(x)[0]))
        totals.append(np.concatenate(found))
    checks.some_batches(totals)
    # The loss with all channels on is the same for all, and cancels.
    rises = np.average(totals, axis=0, weights=sizes)
    standard = (rises - rises.mean()) / (rises.std() or 1.0)
    return softmax(standard[None] / temperature)[0].astype("float32")


def _channels(model, layer, x, at):
    """The number of channels of a layer, and the rank of its output."""
    with recording([layer]) as record:
        model(x, training=False)
    calls = record[id(layer)]
    if len(calls) != 1:
        raise checks.invalid(
            f"the layer at path {at!r} to be called once in a forward pass, "
            "because its channels are switched off in all of its calls",
            f"a layer that is called {len(calls)} times",
            "Mark the tensor with a `keras_otreg.layers.FeatureTap`.",
        )
    shape = checks.single_tensor(calls[0], at).shape
    checks.channels_last(layer, len(shape), at)
    return shape[-1], len(shape)


def _losses(model, layer, x, y, masks, rank, values):
    """Mean losses of a batch under each of some masks of the channels."""
    copies, size = len(masks), len(keras.tree.flatten(x)[0])
    each = np.repeat(masks, size, axis=0)
    each = each.reshape(len(each), *(1,) * (rank - 2), masks.shape[1])

    def masked(outputs):
        return outputs * ops.cast(each, outputs.dtype)

    def copied(tensors):
        return keras.tree.map_structure(
            lambda t: ops.concatenate([t] * copies, axis=0), tensors
        )

    try:
        with changing(layer, lambda outputs: masked(copied(outputs))):
            predictions = model(x, training=False)
    except Exception:
        # A shortcut around the layer still has the size of the batch.
        with changing(layer, masked):
            predictions = model(copied(x), training=False)
    found = ops.convert_to_numpy(values(copied(y), predictions))
    return found.reshape(copies, -1).mean(axis=1)
