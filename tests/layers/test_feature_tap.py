import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_otreg.features import capture
from keras_otreg.layers import FeatureTap

DTYPES = ["float16", "bfloat16", "float32", "float64", "int32", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_returns_its_input(rng, dtype):
    x = ops.cast(rng.integers(0, 2, size=(3, 4)), dtype)
    outputs = FeatureTap()(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    np.testing.assert_array_equal(
        ops.cast(outputs, "float32"), ops.cast(x, "float32")
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_symbolic_input_keeps_shape_and_dtype(dtype):
    inputs = keras.Input((3, None, 2), dtype=dtype)
    outputs = FeatureTap()(inputs)
    assert outputs.shape == inputs.shape
    assert outputs.dtype == dtype


def test_a_policy_does_not_change_what_passes(policy, rng):
    policy("mixed_float16")
    x = rng.normal(size=(3, 4)).astype("float32")
    probabilities = layers.Softmax(dtype="float32")(x)
    outputs = FeatureTap()(probabilities)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_array_equal(outputs, probabilities)


def test_a_mask_passes():
    tokens = np.array([[1, 2, 0, 0], [3, 1, 1, 0]])
    inputs = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(5, 3, mask_zero=True)(inputs)
    tap, last = FeatureTap(name="tap"), layers.LSTM(2)
    plain = keras.Model(inputs, last(embedded))
    model = keras.Model(inputs, last(tap(embedded)))
    np.testing.assert_array_equal(model(tokens), plain(tokens))
    assert not np.allclose(model(tokens[:, ::-1]), model(tokens))
    _, found = capture(model, tokens, ["tap"])
    np.testing.assert_array_equal(
        found["tap"], keras.Model(inputs, embedded)(tokens)
    )


def test_it_has_no_weights():
    tap = FeatureTap()
    tap(np.ones((2, 3), "float32"))
    assert not tap.weights


@pytest.mark.parametrize("rank", range(5))
def test_a_tensor_of_any_shape_passes(rng, rank):
    x = rng.normal(size=(2,) * rank).astype("float32")
    np.testing.assert_array_equal(FeatureTap()(x), x)


def test_a_model_computes_the_same_with_and_without_it(rng, tmp_path):
    x = rng.normal(size=(5, 4)).astype("float32")
    inputs = keras.Input((4,))
    body, head = layers.Dense(3), layers.Dense(2)
    plain = keras.Model(inputs, head(body(inputs)))
    tapped = keras.Model(
        inputs, head(FeatureTap(name="tap")(body(inputs) * 1.0))
    )
    np.testing.assert_array_equal(tapped(x), plain(x))
    tapped.compile("sgd", "mse")
    tapped.fit(x, np.ones((5, 2)), verbose=0)
    tapped.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), tapped(x))
    assert capture(again, x, ["tap"])[1]["tap"].shape == (5, 3)


def test_it_belongs_in_the_call_of_a_subclassed_model(rng):
    class Residual(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)
            self.tap = FeatureTap(name="sum")

        def call(self, inputs):
            return ops.relu(self.tap(self.dense(inputs) + inputs))

    model, x = Residual(), rng.normal(size=(5, 4)).astype("float32")
    model(x)
    prediction, found = capture(model, x, ["sum"])
    np.testing.assert_allclose(found["sum"], model.dense(x) + x, rtol=1e-6)
    np.testing.assert_allclose(
        prediction, np.maximum(found["sum"], 0.0), rtol=1e-6
    )


class Scaled(FeatureTap):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[-1:], initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def test_a_subclass_builds_weights_of_its_own():
    layer = Scaled()
    assert ops.shape(layer(np.ones((2, 3), "float32"))) == (2, 3)
    assert [tuple(x.shape) for x in layer.weights] == [(3,)]
