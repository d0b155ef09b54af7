import numpy as np
import pytest

from keras_otreg.losses import CenteredKernelAlignment


@pytest.fixture
def loss():
    return CenteredKernelAlignment(dtype="float64")


def test_the_value_by_hand(loss):
    # Centred Gram matrices of the points 0, 0, 3 and 0, 3, 0 of a line. Both
    # have norm 6; the sum of their products is 9 of 36.
    x, y = np.array([[0.0], [0.0], [3.0]]), np.array([[0.0], [3.0], [0.0]])
    np.testing.assert_allclose(loss(x, y), 1 - 9 / 36)


def test_it_is_one_minus_the_textbook_alignment(loss, rng):
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 6)) + 3.0
    X, Y = x - x.mean(axis=0), y - y.mean(axis=0)
    norms = np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)
    expected = 1 - np.linalg.norm(Y.T @ X) ** 2 / norms
    np.testing.assert_allclose(loss(x, y), expected)


def test_a_whole_weight_is_repeating_the_sample(loss, rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    weights = np.array([1, 3, 0, 2, 1])
    repeated = [np.repeat(z, weights, axis=0) for z in (x, y)]
    np.testing.assert_allclose(loss(x, y, weights), loss(*repeated))


def test_rotating_shifting_and_scaling_change_nothing(loss, rng):
    x = rng.normal(size=(9, 4))
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert abs(float(loss(x, 7.0 * x @ rotation + 5.0))) < 1e-12


def test_a_layer_that_says_nothing_is_not_aligned(loss, rng):
    x, constant = rng.normal(size=(7, 4)), np.full((7, 2), 0.1)
    for layers, expected in (
        ((x, constant), 1.0),
        ((constant, x), 1.0),
        ((constant, constant), 0.0),
        ((x[:1], x[1:2]), 0.0),
    ):
        np.testing.assert_allclose(loss(*layers), expected, atol=1e-12)


def test_small_differences_are_precise_in_float32(rng):
    # One minus a cosine would be rounding here.
    x, move = rng.normal(size=(2, 32, 8))
    y = x + 1e-4 * move
    exact = CenteredKernelAlignment(dtype="float64")
    y32 = y.astype("float32").astype("float64")
    x32 = x.astype("float32").astype("float64")
    np.testing.assert_allclose(
        CenteredKernelAlignment()(x, y), exact(x32, y32), rtol=1e-2
    )
