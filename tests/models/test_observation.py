"""What is seen of a step that is not taken."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg
from keras_otreg.models.observation import Observer

WEIGHT = 3.0


def network():
    inputs = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(6, 3)(inputs)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(5, "tanh", name="features")(x)
    return keras.Model(inputs, keras.layers.Dense(1, name="head")(x))


@pytest.fixture
def data(rng):
    return rng.integers(0, 6, size=(16, 4)), rng.normal(size=(16, 1))


@pytest.fixture
def model():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [10], [WEIGHT, 0.0]
    )
    penalties = [
        otreg.Penalty(otreg.losses.Coral(), "features", weight=schedule),
        otreg.Penalty(keras.losses.MeanSquaredError(), "features", weight=0.0),
    ]
    model = otreg.TransferModel(network(), network(), penalties)
    model.compile("sgd", "mse")
    return model


def norm(tape, value, variables):
    gradients = tape.gradient(value, variables)
    found = [tf.convert_to_tensor(x) for x in gradients if x is not None]
    return float(tf.linalg.global_norm(found))


@pytest.mark.release
@pytest.mark.tensorflow
def test_shares_are_those_of_gradients_by_hand(model, data):
    x, y = data
    coral = otreg.losses.Coral()
    paths = ["features"]
    with tf.GradientTape(persistent=True) as tape:
        prediction, found = otreg.features.capture(model.student, x, paths)
        _, known = otreg.features.capture(model.teacher, x, paths)
        task = tf.reduce_mean((prediction - y) ** 2)
        pull = WEIGHT * coral(known["features"], found["features"])
    variables = model.student.trainable_variables
    norms = np.array([norm(tape, value, variables) for value in (task, pull)])
    shares = Observer(model, data)().shares
    assert list(shares) == ["task_loss", "coral", "mean_squared_error"]
    np.testing.assert_allclose(
        list(shares.values()), [*norms / norms.sum(), 0.0], rtol=1e-5
    )


@pytest.mark.release
def test_a_schedule_is_followed(model, data):
    observer = Observer(model, data)
    assert observer().shares["coral"] > 0.0
    model.optimizer.iterations.assign(20)
    assert observer().shares["coral"] == 0.0


@pytest.mark.release
def test_what_the_student_has_learnt_since_is_seen(model, data):
    observer = Observer(model, data)
    before = observer().shares["coral"]
    model.student.set_weights(model.teacher.get_weights())
    assert observer().shares["coral"] < before


def test_a_student_that_trains_nothing_has_no_shares(model, data):
    model.student.trainable = False
    assert set(Observer(model, data)().shares.values()) == {0.0}


@pytest.mark.release
def test_layers_losses_are_left_as_they_were(model, data):
    losses = list(model.losses)
    metrics = [x.numpy() for x in model.metrics_variables]
    Observer(model, data)()
    assert list(model.losses) == losses
    for old, new in zip(metrics, model.metrics_variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_a_batch_without_the_labels_of_the_loss_is_refused(model, data):
    with pytest.raises(ValueError, match="inputs alone"):
        Observer(model, data[:1])
