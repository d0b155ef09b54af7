import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.layers import FeaturePenalty
from keras_otreg.losses import RepresentationTransport
from keras_otreg.ot import Sinkhorn


@pytest.fixture
def policy():
    """Sets the policy of the test; the old one comes back after it."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture
def make_loss():
    few = Sinkhorn(3, accelerated=False)
    return lambda **k: RepresentationTransport(epsilon=0.3, solver=few, **k)


@pytest.fixture
def two_networks(make_loss):
    """A teacher and a student in one functional model."""

    def make(loss=None, weight=1.0, teacher_width=6, student_width=4):
        inputs = keras.Input((5,))
        known = layers.Dense(teacher_width, activation="relu", name="teacher")
        known.trainable = False
        features = layers.Dense(
            student_width, activation="relu", name="student"
        )
        penalty = FeaturePenalty(loss or make_loss(), weight, name="penalty")
        kept = penalty(known(inputs), features(inputs))
        return keras.Model(inputs, layers.Dense(2, name="head")(kept))

    return make


@pytest.fixture
def data(rng):
    x = rng.normal(size=(7, 5)).astype("float32")
    return x, rng.normal(size=(7, 2)).astype("float32")


@pytest.fixture
def features():
    """What the two networks of a model compute."""

    def of(model, x):
        names = ("teacher", "student")
        return [np.asarray(model.get_layer(name)(x)) for name in names]

    return of
