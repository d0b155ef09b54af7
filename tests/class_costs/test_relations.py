import numpy as np
import pytest

from keras_otreg import class_costs
from keras_otreg.class_costs import shares


@pytest.fixture
def predicted(rng):
    labels = np.repeat([0, 1, 2], [4, 2, 6])
    return rng.dirichlet(np.ones(5), 12), labels


def test_columns_are_the_mean_predictions_of_each_class(predicted):
    p, labels = predicted
    R = class_costs.conditional(p, labels, smoothing=0.0)
    means = np.stack([p[labels == c].mean(axis=0) for c in range(3)], axis=1)
    np.testing.assert_allclose(R, means)


def test_smoothing_adds_samples_of_the_mean_class(predicted):
    p, labels = predicted
    R = class_costs.conditional(p, labels, smoothing=0.0)
    smoothed = class_costs.conditional(p, labels, smoothing=2.0)
    counts = np.array([4, 2, 6])
    mean = R.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        smoothed, (counts * R + 2.0 * mean) / (counts + 2.0)
    )


def test_permuted_classes_permute_the_relation(predicted):
    p, labels = predicted
    names = np.array(["c", "a", "b"])[labels]
    R = class_costs.conditional(p, labels)
    found = class_costs.conditional(p[:, ::-1], names)
    np.testing.assert_allclose(found, R[::-1, [1, 2, 0]])


def test_a_source_class_that_is_equally_frequent_prefers_no_target():
    R = np.array([[0.5, 0.5, 0.5], [0.4, 0.1, 0.2], [0.1, 0.4, 0.3]])
    C = class_costs.from_conditional(R)
    np.testing.assert_allclose(C[0], C[0, 0])
    assert C.min() == 0.0
    assert C[1].argmin() == 0
    assert C[2].argmin() == 1


def test_source_classes_of_no_mass_have_finite_costs():
    C = class_costs.from_conditional(np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert np.isfinite(C).all()


@pytest.fixture
def costs(rng):
    return rng.random((6, 4))


def test_free_shares_are_those_of_the_softmax_of_each_target_class(costs):
    kernel = np.exp(-costs / (0.2 * costs.mean()))
    expected = (kernel / kernel.sum(axis=0)).mean(axis=1)
    found = shares(costs, epsilon=0.2, rho=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_high_price_makes_them_uniform(costs):
    np.testing.assert_allclose(shares(costs, rho=1e4), 1 / 6, rtol=1e-3)


def test_permuted_source_classes_permute_the_shares(costs, rng):
    order = rng.permutation(6)
    np.testing.assert_allclose(
        shares(costs[order]), shares(costs)[order], rtol=1e-4
    )


def test_the_mass_of_a_target_class_goes_to_its_nearest_source_class():
    costs = np.ones((4, 2))
    costs[1, 0] = costs[3, 1] = 0.0
    found = shares(costs, target_shares=[0.8, 0.2], epsilon=0.05, rho=1e-6)
    np.testing.assert_allclose(found, [0, 0.8, 0, 0.2], atol=1e-3)


def test_of_a_plan_they_are_the_row_sums(rng):
    P = rng.random((5, 3))
    np.testing.assert_allclose(shares(plan=P), P.sum(axis=1) / P.sum())


def test_costs_and_a_plan_are_not_both_taken(costs):
    for given in ({}, {"costs": costs, "plan": costs}):
        with pytest.raises(ValueError, match="either costs or a plan"):
            shares(**given)


def test_shares_of_the_target_are_checked(costs):
    for wrong in ([1.0], [1.0, -1.0, 1.0, 1.0], np.zeros(4)):
        with pytest.raises(ValueError, match="shares of 4 classes"):
            shares(costs, target_shares=wrong)
