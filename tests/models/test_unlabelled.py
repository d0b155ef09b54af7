import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.models import parts


@pytest.fixture
def model(make_network, compiled):
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="backbone/features"
    )
    teacher = make_network(name="teacher")
    model = otreg.TransferModel(make_network(), teacher, [penalty])
    return compiled(model, metrics=["accuracy"])


@pytest.mark.release
def test_unlabelled_samples_reach_the_penalties_and_nothing_else(
    model, samples
):
    x, y = samples
    alone = model.evaluate(x[:11], y[:11], verbose=0, return_dict=True)
    both = model.evaluate(*samples, verbose=0, return_dict=True)
    step = parts.with_extra(x[:11], x[11:])
    logs = model.evaluate(step, y[:11], verbose=0, return_dict=True)
    transport = logs["representation_transport"]
    assert logs["accuracy"] == alone["accuracy"]
    np.testing.assert_allclose(
        transport, both["representation_transport"], rtol=1e-5
    )
    task = alone["loss"] - alone["representation_transport"]
    np.testing.assert_allclose(logs["loss"] - transport, task, rtol=1e-4)


@pytest.mark.release
def test_sample_weights_belong_to_the_labelled_samples(model, samples):
    x, y = samples
    weight = np.zeros(11, "float32")
    step = parts.with_extra(x[:11], x[11:])
    logs = model.evaluate(
        step, y[:11], sample_weight=weight, verbose=0, return_dict=True
    )
    only = model.evaluate(x[11:], y[11:], verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["representation_transport"],
        only["representation_transport"],
        rtol=1e-4,
    )


@pytest.mark.release
def test_a_step_with_unlabelled_samples_trains_and_predicts(model, samples):
    x, y = samples
    step = parts.with_extra(x[:11], x[11:])
    logs = model.fit(step, y[:11], epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert model.predict(step, verbose=0).shape == (11, 3)


def test_weights_of_several_outputs_are_averaged():
    weights = {"digit": np.array([1.0, 0.0]), "size": np.array([[1.0], [1.0]])}
    found = parts.Parts(np.zeros((2, 8))).penalty_weights(weights)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), [1.0, 0.5])
