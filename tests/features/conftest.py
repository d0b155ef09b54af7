import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.layers import FeatureTap


@keras.saving.register_keras_serializable(package="tests")
class Counter(layers.Layer):
    """Counts its calls, for eager models."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count = 0

    def call(self, inputs):
        self.count += 1
        return inputs


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """The hidden layer, something after it, and a head."""

    def __init__(self, hidden, after, head, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.after, self.head = hidden, after, head

    def call(self, inputs, training=None):
        return self.head(self.after(self.hidden(inputs)))


class Composite(layers.Layer):
    """A layer made of layers."""

    def __init__(self, parts, **kwargs):
        super().__init__(**kwargs)
        self.parts = parts

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


def _functional(hidden, head):
    inputs = keras.Input((4,))
    return keras.Model(inputs, head(hidden(inputs))), "hidden"


def _sequential(hidden, head):
    return keras.Sequential([keras.Input((4,)), hidden, head]), "hidden"


def _sequential_built_by_call(hidden, head):
    model = keras.Sequential([hidden, head])
    model(np.ones((2, 4), "float32"))
    return model, "hidden"


def _subclassed(hidden, head):
    model = Subclassed(hidden, FeatureTap(name="tap"), head)
    model(np.ones((2, 4), "float32"))
    return model, "hidden"


def _tap_in_subclassed(hidden, head):
    return _subclassed(hidden, head)[0], "tap"


def _tap_in_functional(hidden, head):
    inputs = keras.Input((4,))
    x = FeatureTap(name="tap")(hidden(inputs) + 0.0)
    return keras.Model(inputs, head(x)), "tap"


def _nested(hidden, head):
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, hidden(inputs), name="backbone")
    return keras.Model(inputs, head(inner(inputs))), "backbone/hidden"


def _nested_twice(hidden, head):
    inner, path = _nested(hidden, layers.Dense(3, name="neck"))
    inner.name = "encoder"
    return keras.Sequential([keras.Input((4,)), inner, head]), f"encoder/{path}"


def _composite(hidden, head):
    model = keras.Sequential(
        [keras.Input((4,)), Composite([hidden], name="block"), head]
    )
    return model, "block/hidden"


def _functional_in_subclassed(hidden, head):
    inner, path = _nested(hidden, layers.Dense(3, name="neck"))
    inner.name = "encoder"
    model = Subclassed(inner, layers.ReLU(), head)
    model(np.ones((2, 4), "float32"))
    return model, f"encoder/{path}"


BUILDERS = {
    build.__name__.strip("_"): build
    for build in (
        _functional,
        _sequential,
        _sequential_built_by_call,
        _subclassed,
        _tap_in_subclassed,
        _tap_in_functional,
        _nested,
        _nested_twice,
        _composite,
        _functional_in_subclassed,
    )
}


@pytest.fixture(params=BUILDERS)
def network(request):
    """A model of each kind, the path of its hidden layer, and that layer."""
    hidden = layers.Dense(5, activation="tanh", name="hidden")
    model, path = BUILDERS[request.param](hidden, layers.Dense(2, name="head"))
    return model, path, hidden


@pytest.fixture
def make_counter():
    return Counter


@pytest.fixture
def make_subclassed():
    return Subclassed


@pytest.fixture
def make_composite():
    return Composite


@pytest.fixture
def functional():
    hidden = layers.Dense(5, activation="tanh", name="hidden")
    return _functional(hidden, layers.Dense(2, name="head"))[0]


@pytest.fixture
def x(rng):
    return rng.normal(size=(6, 4)).astype("float32")
