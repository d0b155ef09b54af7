import keras
import numpy as np
import pytest

L = keras.layers


@pytest.fixture
def images():
    return (
        np.random.default_rng(0).normal(size=(120, 8, 8, 3)).astype("float32")
    )


@pytest.fixture
def residual():
    """Makes a network with a residual stream, a gate and a depthwise layer."""

    def make(width=8, inner=12, units=10, classes=4):
        x = inputs = keras.Input((8, 8, 3))
        x = skip = L.Conv2D(width, 3, padding="same", name="stem")(x)
        x = L.BatchNormalization(name="norm")(x)
        x = L.Conv2D(inner, 1, use_bias=False, name="expand")(L.ReLU()(x))
        x = L.BatchNormalization(name="expand_norm")(x)
        x = L.DepthwiseConv2D(3, padding="same", name="each")(L.ReLU()(x))
        gate = L.GlobalAveragePooling2D(keepdims=True)(x)
        gate = L.Conv2D(inner, 1, activation="sigmoid", name="gate")(gate)
        x = L.Conv2D(width, 1, name="project")(L.Multiply()([x, gate]))
        x = L.MaxPooling2D(2)(L.Add(name="add")([skip, x]))
        x = L.Concatenate(name="both")([x, L.ReLU()(x)])
        x = L.Dense(units, activation="relu", name="dense")(L.Flatten()(x))
        return keras.Model(inputs, L.Dense(classes, name="head")(x))

    return make


@pytest.fixture
def settled():
    """Gives a network weights and statistics as training leaves them."""

    def settle(model, seed=0):
        rng = np.random.default_rng(seed)
        for weight in model.weights:
            value = rng.normal(size=weight.shape) * 0.3
            if "variance" in weight.path or "gamma" in weight.path:
                value = 0.5 + rng.random(weight.shape)
            weight.assign(value)
        return model

    return settle
