import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_otreg.class_costs import mkmmd
from keras_otreg.losses import MaximumMeanDiscrepancy

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def bank(x, y, scale):
    squared = cdist(x, y, "sqeuclidean")
    return np.mean([np.exp(-squared / (2 * w * scale)) for w in WIDTHS], axis=0)


def test_the_value_by_hand():
    # Teacher 0 and student 2, one sample each: the scale is 4, and what the
    # kernels see is exp(-4 / (2 * 4 w)).
    kernel = np.mean([np.exp(-0.5 / w) for w in WIDTHS])
    value = MaximumMeanDiscrepancy()(np.array([[0.0]]), np.array([[2.0]]))
    np.testing.assert_allclose(value, 2 - 2 * kernel, rtol=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_it_is_the_textbook_estimate(rng, unbiased):
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)) + 0.5
    scale = cdist(x, y, "sqeuclidean").mean()
    within = [bank(z, z, scale) for z in (x, y)]
    if unbiased:
        means = [(k.sum() - np.trace(k)) / (6 * 5) for k in within]
    else:
        means = [k.mean() for k in within]
    expected = sum(means) - 2 * bank(x, y, scale).mean()
    loss = MaximumMeanDiscrepancy(unbiased, dtype="float64")
    np.testing.assert_allclose(loss(x, y), expected)


def test_the_kernels_are_those_of_the_class_costs(rng):
    # Where all distances are equal, the median is the mean.
    x, y = np.zeros((4, 2)), np.tile([[3.0, 4.0]], (5, 1))
    (expected,) = mkmmd(x, np.zeros(4), y, np.zeros(5))
    np.testing.assert_allclose(
        MaximumMeanDiscrepancy()(x, y), expected[0], rtol=1e-6
    )


def test_a_whole_weight_is_repeating_the_sample(rng):
    x, y = rng.normal(size=(2, 5, 3))
    weights = np.array([1, 3, 0, 2, 1])
    loss = MaximumMeanDiscrepancy(dtype="float64")
    repeated = [np.repeat(z, weights, axis=0) for z in (x, y)]
    np.testing.assert_allclose(loss(x, y, weights), loss(*repeated))


def test_the_gradient_is_that_of_a_constant_bandwidth(rng, value_and_gradient):
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)) + 0.5
    scale = cdist(x, y, "sqeuclidean").mean()

    def value(y):
        return bank(y, y, scale).mean() - 2 * bank(x, y, scale).mean()

    loss = MaximumMeanDiscrepancy(dtype="float64")
    _, gradient = value_and_gradient(loss)(x, y)
    move = rng.normal(size=y.shape)
    ends = [value(y + sign * 1e-5 * move) for sign in (1, -1)]
    np.testing.assert_allclose(
        (np.asarray(gradient) * move).sum(),
        (ends[0] - ends[1]) / 2e-5,
        rtol=1e-6,
    )


@pytest.mark.slow
def test_the_unbiased_estimate_is_near_zero_between_samples_of_one_law(rng):
    loss = MaximumMeanDiscrepancy(True, dtype="float64")
    values = [float(loss(*rng.normal(size=(2, 8, 3)))) for _ in range(40)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0.0


def test_sets_of_other_sizes_can_be_compared(rng):
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(4, 3))
    assert float(MaximumMeanDiscrepancy()(x, y)) > 0.0


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match=r"\(7, 3\).*\(7, 4\)"):
        MaximumMeanDiscrepancy()(np.ones((7, 3)), np.ones((7, 4)))


@pytest.mark.parametrize("unbiased", [None, 1, "yes"])
def test_a_wrong_flag_is_refused(unbiased):
    with pytest.raises(ValueError, match=r"`unbiased`.*Received"):
        MaximumMeanDiscrepancy(unbiased)
