import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_otreg.regularizers import StartingPoint, Sum


def test_the_penalty_is_half_the_squared_distance(rng):
    start, weight = rng.normal(size=(2, 4, 3)).astype("float32")
    value = StartingPoint(start, 0.2)(weight)
    np.testing.assert_allclose(
        value, 0.1 * ((weight - start) ** 2).sum(), rtol=1e-6
    )


def test_the_gradient_is_the_way_back(rng, value_and_gradients):
    start, weight = rng.normal(size=(2, 4, 3)).astype("float32")
    _, (slope,) = value_and_gradients(StartingPoint(start, 0.2))(weight)
    np.testing.assert_allclose(slope, 0.2 * (weight - start), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_penalty_has_the_dtype_of_the_weight(dtype):
    weight = ops.ones((2, 3), dtype=dtype)
    value = StartingPoint(np.zeros((2, 3), "float32"), 1.0)(weight)
    assert keras.backend.standardize_dtype(value.dtype) == dtype
    assert float(value) == 3.0


@pytest.mark.parametrize(
    "start",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        ((1, 2), (3, 4)),
        np.array([[1, 2], [3, 4]]),
        ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]]),
        keras.Variable([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_the_start_is_any_array(start):
    regularizer = StartingPoint(start, 2.0)
    assert float(regularizer(np.zeros((2, 2), "float32"))) == 30.0


@pytest.mark.parametrize(
    "start",
    [
        np.float32(0.1),
        np.array([0.1, 1 / 3, 1e-30], "float32"),
        np.array([[0.1], [1e-300]], "float64"),
        np.arange(6, dtype="float32").reshape(2, 3).T,
        np.arange(4, dtype=">f4"),
        ops.cast([0.1, 0.2], "bfloat16"),
        np.array([0.1, 0.2], "float16"),
    ],
    ids=["scalar", "vector", "double", "order", "endian", "bfloat16", "half"],
)
def test_the_start_survives_its_description_exactly(start):
    before = StartingPoint(start, 0.1)
    after = StartingPoint.from_config(before.get_config())
    assert after.start.shape == before.start.shape
    assert after.start.dtype == before.start.dtype.newbyteorder("=")
    np.testing.assert_array_equal(after.start, before.start)
    assert after.strength == 0.1


def test_the_start_does_not_follow_the_array_that_was_given():
    start = np.ones(3, "float32")
    regularizer = StartingPoint(start, 1.0)
    start += 1.0
    assert float(regularizer(np.ones(3, "float32"))) == 0.0


def test_it_sits_in_a_layer(tmp_path, rng):
    start = rng.normal(size=(3, 2)).astype("float32")
    inputs = keras.Input((3,))
    outputs = layers.Dense(2, kernel_regularizer=StartingPoint(start, 0.1))
    model = keras.Model(inputs, outputs(inputs))
    expected = 0.05 * ((np.array(model.layers[-1].kernel) - start) ** 2).sum()
    np.testing.assert_allclose(model.losses, [expected], rtol=1e-5)
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.losses, model.losses)
    again.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 3\)"):
        StartingPoint(np.ones((3, 2)), 1.0)(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"\(1,\).*\(3,\)"):
        StartingPoint(np.ones(1), 1.0)(np.ones(3))


@pytest.mark.parametrize("start", [[np.nan, 1.0], [np.inf], [], None, "zeros"])
def test_a_start_that_is_no_array_of_numbers_is_refused(start):
    with pytest.raises(ValueError, match=r"`start`.*Expected.*Received"):
        StartingPoint(start, 1.0)


@pytest.mark.parametrize("strength", [-1, np.nan, np.inf, "1", None, True])
def test_a_wrong_strength_is_refused(strength):
    with pytest.raises(ValueError, match=r"`strength`.*Expected.*Received"):
        StartingPoint(np.ones(2), strength)


def test_a_sum_adds_its_terms(rng):
    start, weight = rng.normal(size=(2, 4)).astype("float32")
    terms = [StartingPoint(start, 0.2), keras.regularizers.L1(0.3), "l2"]
    expected = (
        0.1 * ((weight - start) ** 2).sum()
        + 0.3 * np.abs(weight).sum()
        + 0.01 * (weight**2).sum()
    )
    np.testing.assert_allclose(Sum(terms)(weight), expected, rtol=1e-5)
    again = Sum.from_config(Sum(terms).get_config())
    np.testing.assert_allclose(again(weight), expected, rtol=1e-5)


@pytest.mark.parametrize("term", [None, 3, "no_such_regularizer"])
def test_a_sum_of_something_else_is_refused(term):
    with pytest.raises(ValueError, match="regularizer"):
        Sum([term])
