"""What penalties keep between steps, inside the wrapper."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_otreg as otreg

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def model(small_model):
    def make(weight=1.0, **settings):
        loss = otreg.losses.RepresentationTransport(**settings)
        return small_model([otreg.Penalty(loss, at="features", weight=weight)])

    return make


@pytest.fixture
def small_model(rng):
    def make(penalties):
        keras.utils.set_random_seed(3)
        student = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(7, "relu", name="features"),
                keras.layers.Dense(3),
            ]
        )
        model = otreg.TransferModel(student, penalties=penalties)
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return model

    return make


@pytest.fixture
def data(rng):
    return rng.normal(size=(24, 6)).astype("float32"), np.arange(24) % 3


def _values(model):
    (memory,) = model.memories.values()
    return [v.numpy().copy() for v in memory.variables]


@pytest.mark.release
def test_training_updates_it_and_nothing_else_does(model, data):
    model = model(momentum=0.9)
    untouched = _values(model)
    model.evaluate(*data, verbose=0)
    model.predict(data[0], verbose=0)
    for old, new in zip(untouched, _values(model), strict=True):
        assert_allclose(new, old)
    model.fit(*data, epochs=2, batch_size=8, verbose=0)
    for old, new in zip(untouched, _values(model), strict=True):
        assert np.abs(new - old).max() > 0


@pytest.mark.release
def test_it_is_not_trained_and_not_in_the_student(model):
    model = model(momentum=0.9)
    (memory,) = model.memories.values()
    held = {id(v) for v in memory.variables}
    assert held & {id(v) for v in model.non_trainable_variables} == held
    assert not held & {id(v) for v in model.student.variables}


@pytest.mark.release
def test_a_saved_model_goes_on_as_if_it_had_not_been(model, data, tmp_path):
    straight, broken = model(momentum=0.9), model(momentum=0.9)
    for each, epochs in ((straight, 4), (broken, 2)):
        each.fit(*data, epochs=epochs, batch_size=8, shuffle=False, verbose=0)
    broken.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    resumed.fit(*data, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(straight.variables, resumed.variables, strict=True):
        assert_allclose(a, b, atol=1e-6, err_msg=a.path)


@pytest.mark.release
def test_at_weight_zero_it_changes_no_result(model, data):
    results = []
    for momentum in (0.0, 0.9):
        each = model(weight=0.0, momentum=momentum)
        each.fit(*data, epochs=2, batch_size=8, shuffle=False, verbose=0)
        results.append(each.student.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_penalty_of_another_kind_has_none(small_model):
    loss = keras.losses.MeanSquaredError()
    assert not small_model([otreg.Penalty(loss, at="features")]).memories


REPLICAS = """
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
import keras_otreg as otreg
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    student = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(7, "relu", name="features"),
        keras.layers.Dense(3),
    ])
    loss = otreg.losses.RepresentationTransport(momentum=0.5)
    penalty = otreg.Penalty(loss, at="features")
    model = otreg.TransferModel(student, penalties=[penalty])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6)), rng.normal(size=(32, 3))
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
(memory,) = model.memories.values()
for variable in memory.variables:
    copies = [np.array(v) for v in variable.value.values]
    assert np.abs(copies[0]).max() > 0
    print(variable.name, np.abs(copies[0] - copies[1]).max())
print("loss", history["loss"][-1])
"""


@pytest.mark.tensorflow
@pytest.mark.release
def test_replicas_keep_one_memory():
    output = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = dict(line.split() for line in output.splitlines())
    assert np.isfinite(float(found.pop("loss")))
    assert {k: float(v) for k, v in found.items()} == {
        "g": 0.0,
        "costs": 0.0,
        "steps": 0.0,
    }
