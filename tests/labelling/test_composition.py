"""Labels by transport with the other ways to transfer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg

layers = keras.layers
pytestmark = pytest.mark.tensorflow


def network(width=8):
    x = keras.Input((4,))
    inner = layers.Dense(width, "tanh", name="features")(x)
    return keras.Model(x, layers.Dense(3, "softmax", name="head")(inner))


@pytest.fixture
def samples(rng):
    y = np.arange(60) % 3
    x = (rng.normal(size=(60, 4)) + 3.0 * np.eye(4)[y]).astype("float32")
    return (x[:12], y[:12]), x[12:]


@pytest.fixture
def teacher(samples):
    model = network()
    otreg.solve_head(model, *samples[0], l2=0.01)
    return model


def joined(samples, labels):
    return otreg.data.with_labels(
        samples[0], (samples[1], labels), batch_size=8
    )


@pytest.mark.slow
def test_a_narrow_student_learns_from_labels_of_the_large_network(
    samples, teacher
):
    labels = otreg.labelling.transported_labels(teacher, samples[1])
    student = otreg.narrow(teacher, 0.5, samples=samples[1], verbose=False)
    student.compile("adam", "categorical_crossentropy")
    before = student.get_weights()
    history = student.fit(joined(samples, labels), epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert not np.array_equal(before[0], student.get_weights()[0])


@pytest.mark.slow
def test_penalties_see_both_kinds_of_samples_and_weights_count(
    samples, teacher
):
    model = otreg.TransferModel(
        teacher,
        penalties=[
            otreg.Penalty(otreg.losses.RepresentationTransport(), at="features")
        ],
    )
    model.compile("sgd", "categorical_crossentropy")
    # The labels are those of the student in it.
    rounds = otreg.callbacks.SelfTraining(samples[1], rounds=1)
    logs = model.fit(
        joined(samples, rounds), epochs=1, verbose=0, callbacks=[rounds]
    ).history
    assert np.isfinite(logs["representation_transport"][0])
    expected = otreg.labelling.transported_labels(
        teacher, samples[1], verbose=False
    )
    assert rounds.labels.plan.shape == expected.plan.shape


@pytest.mark.slow
def test_a_source_task_trains_beside_samples_with_labels(samples, teacher):
    labels = otreg.labelling.transported_labels(teacher, samples[1])
    model = otreg.TransferModel(
        teacher,
        source_task=otreg.SourceTask(
            layers.Dense(5, "softmax"),
            at="features",
            loss="sparse_categorical_crossentropy",
        ),
    )
    model.compile("sgd", "categorical_crossentropy")
    source = tf.data.Dataset.from_tensor_slices(
        (np.ones((20, 4), "float32"), np.arange(20) % 5, np.ones(20, "float32"))
    ).batch(8)
    both = otreg.data.paired(joined(samples, labels), source)
    logs = model.fit(both, epochs=1, verbose=0).history
    assert np.isfinite(logs["loss"][0])
