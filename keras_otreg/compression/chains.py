"""Linear layers with the normalisation and the sum that follow them."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_otreg.compression import affine
from keras_otreg.compression.graph import Graph

# What a sum may come behind without another fit.
_TRANSPARENT = (
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


@dataclasses.dataclass(frozen=True)
class Chain:
    """A linear layer and what follows it up to a sum.

    Attributes:
        end: Key of the tensor after the layer and its normalisation.
        norm: Index of the call of the `BatchNormalization`, or `None`.
        others: Keys of the tensors that are added to it, if they are computed
            before the layer; empty if it enters no sum.
    """

    end: int
    norm: int | None
    others: tuple[int, ...] = ()


def chain_after(graph: Graph, index: int) -> Chain:
    """Find the layers between a linear layer and a sum.

    Args:
        graph: A network.
        index: Index of the layer's call.
    """
    call, consumers = graph.calls[index], graph.consumers()

    def only_taker(key):
        takers = consumers[key]
        alone = len(takers) == 1 and key not in graph.outputs
        return takers[0] if alone else None

    (end,), norm = call.outputs, None
    if affine.activation_of(call.layer) != "linear":
        return Chain(end, None)
    taker = only_taker(end)
    if taker is not None and isinstance(
        graph.calls[taker].layer, keras.layers.BatchNormalization
    ):
        norm = taker
        (end,) = graph.calls[taker].outputs
    key, ready = end, set(graph.inputs)
    ready |= {k for x in graph.calls[:index] for k in x.outputs}
    while (taker := only_taker(key)) is not None:
        after = graph.calls[taker]
        if type(after.layer).__name__ == "Add":
            others = tuple(k for k in after.inputs if k != key)
            if others and ready >= set(others):
                return Chain(end, norm, others)
        if not isinstance(after.layer, _TRANSPARENT):
            break
        (key,) = after.outputs
    return Chain(end, norm)


def scale_and_shift(norm: Any, kept: np.ndarray) -> tuple[Any, Any]:
    """Scale and shift of a `BatchNormalization` in inference.

    Args:
        norm: The layer, or `None` for the identity.
        kept: Indices of the channels to return.
    """
    if norm is None:
        return np.ones(len(kept)), np.zeros(len(kept))
    to_array = keras.ops.convert_to_numpy
    mean = to_array(norm.moving_mean)[kept].astype(np.float64)
    variance = to_array(norm.moving_variance)[kept].astype(np.float64)
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * to_array(norm.gamma)[kept]
    shift = -scale * mean
    return scale, shift + to_array(norm.beta)[kept] if norm.center else shift
