import numpy as np
import pytest

from keras_otreg.losses import Coral


def test_the_value_by_hand():
    # Covariances [[2, 0], [0, 0]] and [[2, 4], [4, 8]] of two samples each.
    teacher = np.array([[1.0, 0.0], [-1.0, 0.0]])
    student = np.array([[1.0, 2.0], [-1.0, -2.0]])
    expected = (0 + 16 + 16 + 64) / (4 * 2**2)
    np.testing.assert_allclose(Coral()(teacher, student), expected)


def test_it_is_the_distance_of_the_covariances_of_numpy(rng):
    x, y = rng.normal(size=(9, 4)), 2.0 * rng.normal(size=(6, 4))
    difference = np.cov(x.T) - np.cov(y.T)
    loss = Coral(dtype="float64")
    np.testing.assert_allclose(loss(x, y), (difference**2).sum() / (4 * 16))


def test_weights_are_those_of_numpy(rng):
    x, y = rng.normal(size=(2, 7, 4))
    weights = np.array([2.0, 0.0, 1.0, 3.0, 0.5, 1.0, 1.0])
    covariances = [np.cov(z.T, aweights=weights) for z in (x, y)]
    expected = ((covariances[0] - covariances[1]) ** 2).sum() / (4 * 16)
    loss = Coral(dtype="float64")
    np.testing.assert_allclose(loss(x, y, weights), expected)


def test_means_and_the_order_of_samples_do_not_matter(rng):
    x, y = rng.normal(size=(2, 7, 4))
    loss = Coral(dtype="float64")
    np.testing.assert_allclose(loss(x, y[::-1] + 100.0), loss(x, y))


def test_one_sample_has_no_covariance(rng):
    assert float(Coral()(np.ones((1, 3)), np.zeros((1, 3)))) == 0.0


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match=r"\(7, 3\).*\(7, 4\)"):
        Coral()(np.ones((7, 3)), np.ones((7, 4)))
