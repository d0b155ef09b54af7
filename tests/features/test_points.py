import keras
import numpy as np
import pytest
from keras import ops

from keras_otreg.features import (
    positions_as_points,
    samples_as_points,
    units_as_points,
)
from keras_otreg.features.points import match_positions

INNER = [(), (4,), (4, 3), (2, 3, 2)]


@pytest.fixture
def activations(rng):
    def make(*shape):
        return rng.normal(size=shape).astype("float32")

    return make


@pytest.mark.parametrize("inner", INNER)
def test_pooled_units_answer_to_samples(activations, inner):
    x = activations(5, *inner, 3)
    points = units_as_points(x)
    assert points.shape == (3, 5)
    mean = x.reshape(5, -1, 3).mean(axis=1)
    np.testing.assert_allclose(points, mean.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner", INNER)
def test_kept_units_answer_to_samples_at_positions(activations, inner):
    x = activations(5, *inner, 3)
    points = units_as_points(x, spatial="keep")
    np.testing.assert_array_equal(points, x.reshape(-1, 3).T)


@pytest.mark.parametrize("inner", INNER)
def test_pooled_samples_have_units(activations, inner):
    x = activations(5, *inner, 3)
    mean = x.reshape(5, -1, 3).mean(axis=1)
    np.testing.assert_allclose(samples_as_points(x), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner", INNER)
def test_kept_samples_have_units_at_positions(activations, inner):
    x = activations(5, *inner, 3)
    points = samples_as_points(x, spatial="keep")
    np.testing.assert_array_equal(points, x.reshape(5, -1))


@pytest.mark.parametrize("inner", INNER)
def test_positions_are_a_set_for_each_sample(activations, inner):
    x = activations(5, *inner, 3)
    np.testing.assert_array_equal(positions_as_points(x), x.reshape(5, -1, 3))


@pytest.mark.parametrize("points", [units_as_points, samples_as_points])
def test_an_unknown_treatment_of_positions_is_refused(activations, points):
    with pytest.raises(ValueError, match=r"`spatial`.*keep.*pool.*'flat'"):
        points(activations(2, 3), spatial="flat")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_points_keep_the_dtype(activations, dtype):
    x = ops.cast(activations(5, 4, 4, 3), dtype)
    for points in (
        units_as_points(x),
        units_as_points(x, "keep"),
        samples_as_points(x),
        samples_as_points(x, "keep"),
        positions_as_points(x),
        *match_positions(x, x[:, :3, :3]),
    ):
        assert keras.backend.standardize_dtype(points.dtype) == dtype


def adaptive_average(maps, axis, size):
    """Adaptive average pooling, by its definition."""
    length = maps.shape[axis]
    cells = [
        np.arange(k * length // size, -(-(k + 1) * length // size))
        for k in range(size)
    ]
    pooled = [maps.take(cell, axis).mean(axis) for cell in cells]
    return np.stack(pooled, axis)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [((8,), (4,)), ((7,), (3,)), ((8, 6), (4, 3)), ((5, 4, 6), (2, 3, 5))],
)
def test_maps_are_averaged_down_to_the_smaller_size(
    activations, larger, smaller
):
    x, y = activations(2, *larger, 3), activations(2, *smaller, 5)
    matched, same = match_positions(x, y)
    expected = x
    for axis, size in enumerate(smaller, start=1):
        expected = adaptive_average(expected, axis, size)
    np.testing.assert_allclose(matched, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(same, y)
    swapped = match_positions(y, x)
    np.testing.assert_array_equal(swapped[1], matched)


def test_each_axis_goes_to_its_own_smaller_size(activations):
    x, y = match_positions(activations(2, 8, 3, 4), activations(2, 4, 6, 5))
    assert x.shape == (2, 4, 3, 4)
    assert y.shape == (2, 4, 3, 5)


def test_the_mean_is_preserved_where_sizes_divide(activations):
    x = activations(2, 12, 8, 3)
    matched, _ = match_positions(x, activations(2, 4, 2, 3))
    np.testing.assert_allclose(
        ops.mean(matched, axis=(1, 2)), x.mean(axis=(1, 2)), atol=1e-5
    )


@pytest.mark.parametrize("size", range(1, 8))
def test_a_constant_map_stays_constant(size):
    matched, _ = match_positions(
        np.full((1, 7, 1), 3.0, "float32"), np.ones((1, size, 1), "float32")
    )
    np.testing.assert_allclose(matched, np.full((1, size, 1), 3.0), rtol=1e-6)


def test_maps_of_unequal_rank_are_refused():
    with pytest.raises(ValueError, match=r"same rank.*\(2, 3, 4\)"):
        match_positions(np.ones((2, 3, 4)), np.ones((2, 4)))


def test_sizes_that_must_change_must_be_known():
    unknown = keras.KerasTensor((None, None, None, 3))
    match_positions(unknown, unknown)
    with pytest.raises(ValueError, match=r"axis 1.*known.*None"):
        match_positions(unknown, keras.KerasTensor((None, 4, 4, 3)))


def test_kept_samples_of_unknown_size_give_a_message():
    unknown = keras.KerasTensor((None, None, None, 3))
    with pytest.raises(ValueError, match="known"):
        samples_as_points(unknown, spatial="keep")


def test_positions_of_unknown_number_are_points_all_the_same():
    unknown = keras.KerasTensor((None, None, None, 3))
    assert positions_as_points(unknown).shape == (None, None, 3)
