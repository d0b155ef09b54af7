"""Costs between points: values, gradients and names."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.spatial.distance import cdist

from keras_otreg.ot import costs

assert_allclose = np.testing.assert_allclose
TENSORFLOW = keras.backend.backend() == "tensorflow"


def by_scipy(name, x, y):
    if name == "squared_cosine":
        return 1.0 - (1.0 - cdist(x, y, "cosine")) ** 2
    return cdist(x, y, name.replace("squared_euclidean", "sqeuclidean"))


@pytest.fixture(params=costs.COSTS)
def name(request):
    return request.param


@pytest.fixture
def cost(name):
    return costs.COSTS[name]


def test_values_are_those_of_scipy(name, cost, rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))
    C = cost(x, y)
    assert keras.backend.standardize_dtype(C.dtype) == "float64"
    assert_allclose(C, by_scipy(name, x, y), rtol=1e-12)


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_leading_axes_hold_separate_clouds(cost, rng, batch):
    centers = 100.0 * rng.normal(size=(*batch, 1, 3))
    x = centers + rng.normal(size=(*batch, 5, 3))
    y = centers + rng.normal(size=(*batch, 4, 3))
    C = cost(x, y)
    assert C.shape == (*batch, 5, 4)
    for index in np.ndindex(batch):
        assert_allclose(C[index], cost(x[index], y[index]), rtol=1e-9)


def test_exchanging_the_clouds_transposes_the_cost(cost, rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))
    assert_allclose(cost(x, y), np.transpose(cost(y, x)), rtol=1e-12)


def test_it_is_never_negative(cost, rng):
    x = 1e3 + rng.normal(size=(40, 3)).astype("float32")
    y = x + 1e-4 * rng.normal(size=(40, 3)).astype("float32")
    assert np.min(cost(x, y)) >= 0.0


@pytest.mark.parametrize("name", ["squared_euclidean", "euclidean"])
@pytest.mark.parametrize("distance", [1.0, 1e2, 1e4])
def test_near_neighbours_far_from_the_origin_keep_their_distance(
    name, rng, distance
):
    center = distance * np.ones(3)
    x = (center + rng.normal(size=(20, 3))).astype("float32")
    y = (center + rng.normal(size=(20, 3))).astype("float32")
    exact = by_scipy(name, x.astype("float64"), y.astype("float64"))
    assert_allclose(costs.get(name)(x, y), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_narrow_inputs_are_computed_in_float32(name, cost, rng, dtype):
    x = ops.cast(300.0 * rng.normal(size=(5, 3)), dtype)
    y = ops.cast(300.0 * rng.normal(size=(4, 3)), dtype)
    C = cost(x, y)
    assert keras.backend.standardize_dtype(C.dtype) == "float32"
    wide = [np.asarray(ops.cast(points, "float64")) for points in (x, y)]
    assert_allclose(C, by_scipy(name, *wide), rtol=1e-4, atol=1e-5)


def test_slopes_are_those_of_finite_differences(cost, rng, assert_slope):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    weights = rng.normal(size=(5, 4))

    def total(x, y):
        return ops.sum(weights * cost(x, y))

    directions = [rng.normal(size=(5, 3)), rng.normal(size=(4, 3))]
    assert_slope(total, [x, y], directions)


@pytest.mark.slow
@pytest.mark.compiled
def test_the_gradient_between_coincident_points_is_zero_however_it_is_compiled(
    cost, value_and_gradients, one_graph
):
    def total(x, y):
        return ops.sum(ops.diagonal(cost(x, y)))

    def slopes(x, y):
        return value_and_gradients(total)(x, y)[1]

    xla = {"jit_compile": True} if TENSORFLOW else {}
    compiled = one_graph(slopes, **xla)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(6, 2))
        for dtype, of in (
            ("float64", slopes),
            ("float32", slopes),
            ("float32", compiled),
        ):
            points = [ops.convert_to_tensor(x.astype(dtype))] * 2
            assert_allclose(np.stack(of(*points)), 0.0, atol=2e-3)


def test_the_origin_has_cosine_cost_one_and_no_gradient(with_gradients, rng):
    x, y = np.zeros((2, 3)), rng.normal(size=(4, 3))

    def total(x):
        return ops.sum(costs.cosine(x, y))

    assert_allclose(costs.cosine(x, y), 1.0)
    assert_allclose(with_gradients(total)(x)[1][0], 0.0)


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
def test_cosine_depends_on_directions_only(rng, scale):
    x, y = rng.normal(size=(2, 5, 3)).astype("float32")
    assert_allclose(
        costs.cosine(np.float32(scale) * x, y), costs.cosine(x, y), atol=1e-6
    )


def test_a_coordinate_counts_as_often_as_it_is_weighted(cost, rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    repeats = np.array([1, 3, 0])
    expected = cost(
        np.repeat(x, repeats, axis=1), np.repeat(y, repeats, axis=1)
    )
    assert_allclose(cost(x, y, repeats), expected, rtol=1e-9)
    # Replicas add up what each has of the coordinates.
    other = [z[:, 1:] for z in (x, y)]
    sums = cost.sums(*(ops.convert_to_tensor(z[:, :1]) for z in (x, y)))
    both = cost(
        *other,
        total=lambda more: keras.tree.map_structure(ops.add, sums, more),
    )
    assert_allclose(both, cost(x, y), rtol=1e-9, atol=1e-12)


def test_a_cost_is_found_by_name_by_registered_name_and_by_itself(name, cost):
    assert costs.get(name) is cost
    assert costs.get(f"keras_otreg>{name}") is cost
    assert costs.get(cost) is cost
    assert costs.name_of(cost) == name


def test_a_registered_cost_is_found_by_its_registered_name():
    @keras.saving.register_keras_serializable(package="tests_of_costs")
    def chebyshev(x, y):
        return x, y

    assert costs.name_of(chebyshev) == "tests_of_costs>chebyshev"
    assert costs.get("tests_of_costs>chebyshev") is chebyshev


@keras.saving.register_keras_serializable(package="tests_of_costs")
class PowerCost(costs.Cost):
    """One that has an argument of its own."""

    def __init__(self, p=3.0):
        self.p = p
        self.exponent = 1.0 / p

    def sums(self, x, y):
        difference = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
        return ops.sum(ops.abs(difference) ** self.p, axis=-1)


def test_a_cost_with_arguments_is_saved_with_them():
    cost = PowerCost(4.0)
    again = costs.get(costs.name_of(cost))
    assert (again, again.exponent) == (cost, 0.25)
    assert again != PowerCost()
    assert repr(again) == "PowerCost(p=4.0)"


@pytest.mark.parametrize(
    "identifier", ["manhattan", "Euclidean", None, 3, ["cosine"], {"a": 1}]
)
def test_an_unknown_cost_is_an_error_that_lists_the_known(identifier):
    with pytest.raises(ValueError, match="`cost`") as error:
        costs.get(identifier)
    assert f"Received: cost={identifier!r}" in str(error.value)
    assert all(name in str(error.value) for name in costs.COSTS)


class _CallableCost:
    def __call__(self, x, y):
        return costs.cosine(x, y)


@pytest.mark.parametrize(
    "cost",
    [
        lambda x, y: x,
        functools.partial(costs.cosine),
        _CallableCost(),
    ],
    ids=["lambda", "partial", "object"],
)
def test_a_cost_without_a_name_cannot_be_saved(cost):
    with pytest.raises(ValueError, match="register_keras_serializable"):
        costs.name_of(cost)


def test_a_cost_is_not_known_by_a_name_that_is_not_its_own():
    def cosine(x, y):
        return costs.cosine(x, y)

    with pytest.raises(ValueError, match="register_keras_serializable"):
        costs.name_of(cosine)
