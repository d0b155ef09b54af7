import threading

import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.features import capture
from keras_otreg.features.taps import recording, walk


@pytest.fixture
def state_of():
    """What the instance dictionaries of all layers of a model hold."""

    def snapshot(model):
        return [
            {key: id(value) for key, value in vars(layer).items()}
            for _, layer in walk(model)
        ]

    return snapshot


@pytest.fixture
def failing(x):
    class Failing(layers.Layer):
        broken = False

        def call(self, inputs):
            if self.broken:
                raise RuntimeError("broken")
            return inputs

    inputs = keras.Input((4,))
    bad = Failing(name="bad")
    outputs = bad(layers.Dense(3, name="good")(inputs))
    model = keras.Model(inputs, outputs)
    model(x)
    bad.broken = True
    return model


def test_layers_are_left_as_they_were(network, x, state_of):
    model, path, _ = network
    model(x)
    before = state_of(model)
    capture(model, x, [path])
    assert state_of(model) == before


def test_layers_are_left_as_they_were_after_an_error(failing, x, state_of):
    before = state_of(failing)
    with pytest.raises(RuntimeError, match="broken"):
        capture(failing, x, ["good", "bad"])
    assert state_of(failing) == before
    with pytest.raises(ValueError, match="no layer"):
        capture(failing, x, ["good", "missing"])
    assert state_of(failing) == before


def test_a_call_that_someone_else_replaced_comes_back(functional, x):
    hidden = functional.get_layer("hidden")
    original = hidden.call

    def doubled(inputs):
        return 2.0 * original(inputs)

    hidden.call = doubled
    _, found = capture(functional, x, ["hidden"])
    assert vars(hidden)["call"] is doubled
    np.testing.assert_allclose(found["hidden"], 2 * original(x), rtol=1e-6)


def test_weights_and_trainability_are_left_alone(functional, x):
    functional.get_layer("hidden").trainable = False
    before = [np.array(w) for w in functional.weights]
    capture(functional, x, ["hidden", "head"], training=True)
    assert [v.trainable for v in functional.weights] == [
        False,
        False,
        True,
        True,
    ]
    for old, new in zip(before, functional.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_recordings_within_recordings_each_see_every_call(functional, x):
    hidden, head = (functional.get_layer(n) for n in ("hidden", "head"))
    with recording([hidden, head]) as outer:
        with recording([hidden]) as inner:
            functional(x)
        functional(x)
    assert len(inner[id(hidden)]) == 1
    assert len(outer[id(hidden)]) == 2
    assert len(outer[id(head)]) == 2


def test_threads_do_not_see_each_other(functional, state_of):
    functional(np.ones((2, 4), "float32"))
    hidden, before = functional.get_layer("hidden"), state_of(functional)
    start, wrong = threading.Barrier(4), []

    def run(k):
        data = np.full((2 + k, 4), k, "float32")
        start.wait()
        for _ in range(20):
            _, found = capture(functional, data, ["hidden"])
            expected = np.tanh(data @ np.array(hidden.kernel))
            if not np.allclose(found["hidden"], expected, atol=1e-6):
                wrong.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert state_of(functional) == before


def test_threads_trace_graphs_of_one_model_at_once(functional, one_graph):
    start, results = threading.Barrier(3), {}

    def run(k):
        traced = one_graph(lambda x: capture(functional, x, ["hidden"])[1])
        data = np.full((2 + k, 4), k, "float32")
        start.wait()
        results[k] = data, np.array(traced(data)["hidden"])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kernel = np.array(functional.get_layer("hidden").kernel)
    assert sorted(results) == [0, 1, 2]
    for data, found in results.values():
        np.testing.assert_allclose(found, np.tanh(data @ kernel), atol=1e-6)


@pytest.mark.slow
def test_a_model_saves_and_trains_after_a_capture(functional, x, tmp_path):
    capture(functional, x, ["hidden", "head"])
    functional.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), functional(x))
    functional.compile("sgd", "mse")
    functional.fit(x, np.ones((6, 2)), verbose=0)
