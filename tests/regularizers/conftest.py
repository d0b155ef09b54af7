import keras
import numpy as np
import pytest
from keras import layers


@keras.saving.register_keras_serializable(package="tests")
class TwoLayers(keras.Model):
    """A subclassed model, with a list of layers and a composite layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [layers.Dense(3, name="first"), Composite(name="second")]
        self.head = layers.Dense(2, name="head")

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return self.head(inputs)


@keras.saving.register_keras_serializable(package="tests")
class Composite(layers.Layer):
    """A layer with a weight of its own, and a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale_regularizer = None
        self.inner = layers.Dense(4, name="inner")

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=(), name="scale", regularizer=self.scale_regularizer
        )
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.scale * self.inner(inputs)

    def get_config(self):
        regularizer = keras.regularizers.serialize(self.scale_regularizer)
        return {**super().get_config(), "scale_regularizer": regularizer}

    @classmethod
    def from_config(cls, config):
        regularizer = keras.regularizers.get(config.pop("scale_regularizer"))
        layer = cls(**config)
        layer.scale_regularizer = regularizer
        return layer


def _subclassed():
    model = TwoLayers()
    model(np.zeros((2, 4), "float32"))
    return model


def _nested():
    inputs = keras.Input((4,))
    inner = keras.Model(
        inputs, layers.Dense(3, name="dense")(inputs), name="backbone"
    )
    outer = keras.Sequential([keras.Input((4,)), inner], name="encoder")
    return keras.Sequential(
        [keras.Input((4,)), outer, layers.Dense(2, name="head")]
    )


def _shared():
    inputs = keras.Input((4,))
    layer = layers.Dense(4, name="shared")
    x = layer(layer(inputs))
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def _of(shape, *body, dtype=None):
    def build():
        inputs = x = keras.Input(shape, dtype=dtype)
        for layer in body:
            x = layer()(x)
        x = layers.Flatten()(x)
        return keras.Model(inputs, layers.Dense(2, name="head")(x))

    return build


MODELS = {
    "nested": _nested,
    "subclassed": _subclassed,
    "shared": _shared,
    "dense": _of((4,), lambda: layers.Dense(3)),
    "conv": _of((5, 5, 2), lambda: layers.Conv2D(3, 2)),
    "transposed": _of((5, 2), lambda: layers.Conv1DTranspose(3, 2)),
    "depthwise": _of((5, 5, 2), lambda: layers.DepthwiseConv2D(2)),
    "separable": _of((5, 5, 2), lambda: layers.SeparableConv2D(3, 2)),
    "batch norm": _of((4,), layers.BatchNormalization),
    "layer norm": _of((4,), layers.LayerNormalization),
    "group norm": _of((4,), lambda: layers.GroupNormalization(2)),
    "embedding": _of((4,), lambda: layers.Embedding(5, 3), dtype="int32"),
    "prelu": _of((4,), layers.PReLU),
    "einsum": _of((4, 3), lambda: layers.EinsumDense("abc,cd->abd", (4, 2))),
    "lstm": _of((4, 3), lambda: layers.LSTM(2)),
    "gru": _of((4, 3), lambda: layers.GRU(2)),
    "conv lstm": _of((3, 4, 4, 1), lambda: layers.ConvLSTM2D(2, 2)),
    "cells": _of(
        (4, 3),
        lambda: layers.RNN([layers.LSTMCell(2), layers.SimpleRNNCell(3)]),
    ),
    "bidirectional": _of((4, 3), lambda: layers.Bidirectional(layers.LSTM(2))),
    "time distributed": _of(
        (4, 3), lambda: layers.TimeDistributed(layers.Dense(2))
    ),
}


@pytest.fixture(params=MODELS)
def model(request):
    """A model for each kind of layer that has weights."""
    return MODELS[request.param]()


@pytest.fixture
def make():
    """Makes a model by the name of its kind."""
    return lambda kind: MODELS[kind]()


@pytest.fixture
def shift():
    """Moves every trainable weight, and returns how many numbers moved."""

    def move(weights, by):
        for weight in weights:
            weight.assign(weight + by)
        return sum(int(np.prod(weight.shape)) for weight in weights)

    return move


@pytest.fixture
def penalty():
    """The sum of the weight penalties of a model."""
    return lambda model: float(np.asarray(sum(model.losses)))
