"""Plain functions as costs: how often a coordinate counts."""

import numpy as np
import pytest
from keras import ops

from keras_otreg.ot import costs
from keras_otreg.ot.costs import FunctionCost, as_cost, measured_scaling

WEIGHTS = np.array([2, 0, 3, 1])


def differences(x, y):
    return ops.abs(ops.expand_dims(x, -2) - ops.expand_dims(y, -3))


def weighted_tanh(x, y, weights):
    return costs.cosine(ops.tanh(x), ops.tanh(y), weights)


def with_state():
    calls = []

    def function(x, y):
        calls.append(0)
        return len(calls) * costs.euclidean(x, y)

    return function


FUNCTIONS = {
    "sum": (lambda x, y: ops.sum(differences(x, y), -1), 1.0, False),
    "mean": (lambda x, y: ops.mean(differences(x, y), -1), 1.0, True),
    "largest": (lambda x, y: ops.max(differences(x, y), -1), 0.0, False),
    "norm": (lambda x, y: 3.0 * costs.euclidean(x, y), 0.5, False),
    "power": (lambda x, y: ops.sum(differences(x, y) ** 1.5, -1), 2 / 3, False),
    "root": (
        lambda x, y: ops.mean(differences(x, y) ** 2, -1) ** 0.5,
        0.5,
        True,
    ),
    "cosine": (lambda x, y: costs.cosine(x, y), 0.5, False),
    "tanh": (lambda x, y: costs.cosine(ops.tanh(x), ops.tanh(y)), None, True),
    "state": (with_state(), None, False),
}


@pytest.fixture
def points(rng):
    return [rng.normal(size=(n, 4)).astype("float32") for n in (3, 5)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_scaling_that_stands_for_repeating_is_found(name):
    function, exponent, expected = FUNCTIONS[name]
    found, averages = measured_scaling(function)
    assert averages == expected
    if exponent is None:
        assert found is None
    else:
        assert found == pytest.approx(exponent, rel=1e-2)


@pytest.mark.parametrize("name", ["sum", "largest", "norm", "cosine"])
def test_a_whole_weight_is_repeating_the_coordinate(name, points):
    function, *_ = FUNCTIONS[name]
    repeated = [np.repeat(p, WEIGHTS, axis=1) for p in points]
    C = FunctionCost(function)(*points, WEIGHTS)
    np.testing.assert_allclose(C, function(*repeated), rtol=1e-4)


def test_a_function_that_takes_weights_is_given_them(points):
    repeated = [np.repeat(p, WEIGHTS, axis=1) for p in points]
    cost = as_cost(weighted_tanh)
    np.testing.assert_allclose(
        cost(*points, WEIGHTS), cost(*repeated), rtol=1e-4
    )


def test_a_function_that_cannot_be_weighted_says_so(points):
    cost = FunctionCost(FUNCTIONS["tanh"][0])
    C = np.asarray(cost(*points))
    np.testing.assert_allclose(cost(*points, 0.1), C, rtol=1e-6)
    with pytest.raises(ValueError, match="`weights`, of shape"):
        cost(*points, WEIGHTS)


def test_a_function_is_measured_while_a_step_is_traced(points, one_graph):
    cost = FunctionCost(lambda x, y: ops.sum(differences(x, y), -1))
    C = one_graph(lambda x, y: cost(x, y, WEIGHTS))(*points)
    np.testing.assert_allclose(C, costs.cityblock(*points, WEIGHTS), rtol=1e-5)


@pytest.mark.tensorflow
def test_coordinates_may_be_of_an_unknown_number(points, one_graph):
    import tensorflow as tf

    cost = as_cost(weighted_tanh)
    specs = [tf.TensorSpec((len(x), None)) for x in points]
    made = one_graph(
        lambda x, y: cost(*cost.weighted(x, y, 0.25)), input_signature=specs
    )
    known = weighted_tanh(*points, np.full(4, 0.25, "float32"))
    np.testing.assert_allclose(made(*points), known, rtol=1e-5)
