import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg
from keras_otreg.models.source_task import calibrated_head, fitted_temperature

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist")


LOSS = "sparse_categorical_crossentropy"


def network(classes, ending="softmax", name="teacher", dropout=0.5):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    x = keras.layers.Dense(12, activation="relu", name="features")(inputs)
    x = keras.layers.Dropout(dropout, name="drop")(x)
    x = keras.layers.Dense(classes, activation=ending, name="head")(x)
    return keras.Model(inputs, x, name=name)


@pytest.fixture
def data(rng):
    return rng.normal(size=(20, 8)).astype("float32"), np.arange(20) % 3


def joint(data, student=None, ending="softmax", **kwargs):
    task = otreg.SourceTask.frozen(
        network(7, ending), "features", data, **kwargs
    )
    student = student or network(3, name="student", dropout=0.0)
    model = otreg.TransferModel(student, source_task=task)
    model.compile("adam", LOSS, metrics=["accuracy"])
    return model


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("ending", ["softmax", None])
def test_the_head_is_the_teachers_at_a_temperature(data, temperature, ending):
    teacher = network(7, ending)
    found = calibrated_head(teacher, "features", data, temperature)
    below = keras.Model(teacher.input, teacher.get_layer("features").output)
    logits = network(7, None)
    logits.set_weights(teacher.get_weights())
    expected = keras.ops.softmax(logits(data[0]) / temperature)
    output = found.head(below(data[0]))
    assert found.is_logits is (ending is None)
    output = keras.ops.softmax(output) if found.is_logits else output
    np.testing.assert_allclose(output, expected, rtol=1e-4)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4)


def test_the_fitted_temperature_is_the_one_that_logits_were_divided_by(rng):
    labels = np.repeat(np.arange(4), 300)
    logits = rng.normal(size=(4, 6))[labels] * 2.0
    # Of class k, predictions are as often right as they say.
    noise = rng.gumbel(size=logits.shape)
    sharp = 8.0 * np.eye(6)[(logits + noise).argmax(axis=1)]
    blunt = sharp / 16.0
    assert fitted_temperature(blunt, labels) < 1.0
    assert fitted_temperature(sharp, labels) >= fitted_temperature(
        blunt, labels
    )
    assert fitted_temperature(np.zeros((9, 5)), np.arange(9) % 3) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("relation", ["plan", "conditional"])
def test_the_total_is_that_of_the_target_and_the_weighted_term(data, relation):
    model = joint(data, relation=relation, weight=0.3)
    model.optimizer.learning_rate = 0.0
    logs = model.fit(*data, batch_size=20, verbose=0).history
    expected = logs["target_loss"][0] + 0.3 * logs["source_transport"][0]
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-5)
    x, task = data[0], model.source_task
    value = task.transport(model.source_model(x), model.student(x))
    np.testing.assert_allclose(logs["source_transport"][0], value, rtol=1e-4)
    assert not [name for name in logs if name.startswith("source_accuracy")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gradient_to", "moved"),
    [
        ("target", {"features", "head"}),
        ("source", {"features"}),
        ("both", {"features", "head"}),
    ],
)
def test_the_frozen_head_and_the_teacher_stay_as_they_are(
    data, gradient_to, moved
):
    teacher = network(7)
    task = otreg.SourceTask.frozen(
        *(teacher, "features", data),
        relation="conditional",
        gradient_to=gradient_to,
    )
    model = otreg.TransferModel(network(3), source_task=task)
    model.compile("sgd")
    parts = {"teacher": teacher, "task": task.head}
    parts |= {k: model.student.get_layer(k) for k in ("features", "head")}
    before = {k: x.get_weights() for k, x in parts.items()}
    model.fit(data[0], verbose=0)
    changed = {
        k
        for k, x in parts.items()
        if not all(map(np.array_equal, before[k], x.get_weights()))
    }
    assert changed == moved
    assert teacher.trainable
    assert not task.head.trainable_weights


@pytest.mark.slow
@pytest.mark.parametrize("relation", ["plan", "conditional"])
def test_it_saves_reloads_and_goes_on(data, relation, tmp_path):
    model = joint(data, relation=relation)
    model.fit(*data, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.source_task.head.trainable_weights
    through, resumed = (
        m.fit(*data, epochs=2, shuffle=False, verbose=0).history
        for m in (model, loaded)
    )
    for name, values in through.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5)


@pytest.mark.slow
def test_unlabelled_samples_are_guided_too(data, rng):
    more = rng.normal(size=(40, 8)).astype("float32")
    mixed = otreg.data.with_unlabelled(data, more, batch_size=10)
    model = joint(data, weight=0.0, relation="conditional")
    model.optimizer.learning_rate = 0.0
    logs = model.fit(mixed, verbose=0).history
    alone = model.evaluate(*data, verbose=0, return_dict=True)
    assert logs["target_loss"][0] == pytest.approx(alone["loss"], rel=1e-4)
    assert logs["source_transport"][0] != pytest.approx(
        alone["source_transport"], rel=1e-4
    )


@pytest.mark.parametrize(
    ("ending", "at", "message"),
    [
        ("sigmoid", "features", r"softmax, or logits.*sigmoid"),
        ("softmax", "head", "can be cut at 'head'"),
        ("softmax", "feature", "no layer at path 'feature'"),
    ],
)
def test_teachers_without_such_a_head_are_refused(data, ending, at, message):
    with pytest.raises(ValueError, match=message):
        otreg.SourceTask.frozen(network(7, ending), at, data)


def test_a_teacher_that_ends_in_another_layer_is_refused(data):
    inner = network(7)
    outputs = keras.layers.LayerNormalization()(inner.output)
    teacher = keras.Model(inner.input, outputs)
    with pytest.raises(
        ValueError, match="last layer with weights is a `Dense`"
    ):
        otreg.SourceTask.frozen(teacher, "features", data)


def test_a_teacher_that_cannot_be_cut_is_refused(data):
    inner = network(7)
    inputs = keras.Input((8,))
    outer = keras.Model(inputs, keras.layers.Softmax()(inner(inputs)))
    with pytest.raises(ValueError, match="can be cut at 'teacher/features'"):
        otreg.SourceTask.frozen(outer, "teacher/features", data)


def test_a_task_needs_a_loss_or_a_transport():
    with pytest.raises(ValueError, match="a `loss` of source data"):
        otreg.SourceTask(keras.layers.Dense(3), "features")


def test_batches_are_taken_as_arrays_are(data):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(7)
    found, expected = (
        otreg.SourceTask.frozen(network(7), "features", x).transport.conditional
        for x in (batches, data)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
