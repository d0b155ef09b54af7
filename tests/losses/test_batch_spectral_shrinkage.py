import numpy as np
import pytest

from keras_otreg.losses import BatchSpectralShrinkage

WEIGHTS = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 1.0])


def test_the_value_by_hand():
    # Two orthogonal samples, of lengths 5 and 2.
    features = np.array([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    for k, expected in ((1, 4.0), (2, 29.0), (5, 29.0)):
        loss = BatchSpectralShrinkage(k)
        np.testing.assert_allclose(loss(features, features), expected)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (1, 3), (3, 1)])
@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_sum_of_the_smallest_squared_singular_values(rng, shape, k):
    features = rng.normal(size=shape)
    singular = np.linalg.svd(features, compute_uv=False)
    loss = BatchSpectralShrinkage(k, dtype="float64")
    np.testing.assert_allclose(
        loss(features, features), (singular[-k:] ** 2).sum(), rtol=1e-6
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_gives_a_value_that_is_not_finite(rng, bad):
    features = rng.normal(size=(7, 4)).astype("float32")
    features[2, 1] = bad
    value = BatchSpectralShrinkage()(features, features)
    assert not np.isfinite(np.array(value))


@pytest.mark.parametrize("width", [3, 4, 6, 20])
def test_weights_scale_the_samples_that_are_left(rng, width):
    features = rng.normal(size=(7, width))
    kept = WEIGHTS > 0
    relative = WEIGHTS[kept] / WEIGHTS[kept].mean()
    scaled = features[kept] * np.sqrt(relative)[:, None]
    singular = np.linalg.svd(scaled, compute_uv=False)
    loss = BatchSpectralShrinkage(2, dtype="float64")
    np.testing.assert_allclose(
        loss(features, features, WEIGHTS), (singular[-2:] ** 2).sum()
    )


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_the_gradient_is_along_the_singular_vectors(
    rng, shape, value_and_gradient
):
    features = rng.normal(size=shape)
    u, s, vt = np.linalg.svd(features, full_matrices=False)
    loss = BatchSpectralShrinkage(2, dtype="float64")
    _, gradient = value_and_gradient(loss)(features, features)
    expected = 2 * (u[:, -2:] * s[-2:]) @ vt[-2:]
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_equal_singular_values_have_a_finite_gradient(value_and_gradient):
    features = 2.0 * np.eye(5, 8, dtype="float32")
    loss = BatchSpectralShrinkage(2)
    value, gradient = value_and_gradient(loss)(features, features)
    np.testing.assert_allclose(value, 8.0)
    assert np.isfinite(gradient).all()


def test_a_small_singular_value_is_precise_in_float32(rng):
    # The Gram matrix alone would lose it: 1e-3 squared is rounding of 10^2.
    u, _ = np.linalg.qr(rng.normal(size=(32, 32)))
    v, _ = np.linalg.qr(rng.normal(size=(64, 32)))
    singular = np.linspace(10.0, 1.0, 32)
    singular[-1] = 1e-2
    features = ((u * singular) @ v.T).astype("float32")
    value = BatchSpectralShrinkage()(features, features)
    np.testing.assert_allclose(value, 1e-4, rtol=1e-2)


def test_the_teacher_does_not_matter(rng):
    features = rng.normal(size=(7, 4))
    loss = BatchSpectralShrinkage(dtype="float64")
    np.testing.assert_array_equal(
        loss(features, features), loss(rng.normal(size=(7, 9)), features)
    )


@pytest.mark.parametrize("k", [0, -1, 1.5, None, "1", True])
def test_a_wrong_number_is_refused(k):
    with pytest.raises(ValueError, match=r"`k`.*Received"):
        BatchSpectralShrinkage(k)
