import numpy as np
import pytest

from keras_otreg.class_costs import shares


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
