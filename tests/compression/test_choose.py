import numpy as np
import pytest

from keras_otreg.compression.choose import (
    CHOICES,
    chosen,
    pivoted,
    semi_relaxed_plan,
    squared_sines,
)


@pytest.fixture
def copies(rng):
    """Covariances of five neurons, of each of which there are three copies."""
    x = np.repeat(rng.normal(size=(200, 5)), 3, axis=1)
    x *= 1.0 + rng.random(15)
    return np.cov(x.T)


@pytest.mark.parametrize("choice", ["transport", "pivots"])
def test_of_copies_one_each_stays(copies, rng, choice):
    kept = chosen(choice, copies, 5, rng)
    assert sorted(kept // 3) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_is_of_different_neurons_in_their_order(rng, choice):
    gram = np.cov(rng.normal(size=(9, 300)))
    gram[3] = gram[:, 3] = 0.0
    kept = chosen(choice, gram, 6, rng)
    assert len(kept) == 6
    assert (np.diff(kept) > 0).all()


def test_permuting_neurons_permutes_the_choice(rng):
    gram = np.cov(rng.normal(size=(12, 30)))
    order = rng.permutation(12)
    permuted = chosen("transport", gram[np.ix_(order, order)], 5, rng)
    assert set(order[permuted]) == set(chosen("transport", gram, 5, rng))


def test_a_plan_with_a_free_target_keeps_the_mass_of_its_rows(copies):
    mass = np.diag(copies) / np.trace(copies)
    plan = semi_relaxed_plan(squared_sines(copies)[:, :4], mass)
    np.testing.assert_allclose(plan.sum(axis=1), mass)


def test_pivots_leave_what_a_regression_leaves(rng):
    gram = np.cov(rng.normal(size=(8, 8)) @ rng.normal(size=(8, 300)))
    order, unexplained = pivoted(gram, 5)
    own = gram[np.ix_(order, order)]
    left = gram - gram[:, order] @ np.linalg.solve(own, gram[order])
    np.testing.assert_allclose(unexplained[-1], np.trace(left), rtol=1e-8)
