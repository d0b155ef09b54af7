"""The debiased divergence between two clouds."""

import numpy as np
import pytest

from keras_otreg.ot import Sinkhorn, costs, sinkhorn_divergence

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def divergence():
    """The divergence with the squared Euclidean cost."""

    def compute(x, y, *, epsilon=0.5, solver=None, **settings):
        solver = solver or Sinkhorn(max_iterations=2000, tolerance=1e-11)
        return sinkhorn_divergence(
            x, y, "squared_euclidean", epsilon, solver, **settings
        )

    return compute


@pytest.mark.release
@pytest.mark.parametrize(
    ("dtype", "rho"), [("float32", None), ("float64", 2.0)]
)
def test_the_divergence_of_a_cloud_from_itself_is_exactly_zero(rng, dtype, rho):
    x = rng.normal(size=(2, 6, 3)).astype(dtype)
    S = sinkhorn_divergence(x, x, costs.euclidean, 0.5, Sinkhorn(5), rho=rho)
    assert S.shape == (2,)
    assert np.all(S == 0.0)


@pytest.mark.release
def test_the_divergence_of_a_translated_cloud_is_the_squared_shift(
    divergence, rng
):
    x = rng.normal(size=(10, 2))
    assert_allclose(divergence(x, x + [3.0, 4.0]), 25.0, rtol=1e-7)


@pytest.mark.release
@pytest.mark.parametrize("rho", [None, 1.0])
def test_splitting_a_point_leaves_the_divergence(divergence, rng, rho):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    a = rng.dirichlet(np.ones(5))
    split = np.concatenate([[0.3 * a[0], 0.7 * a[0]], a[1:]])
    S = divergence(x, y, a=a, rho=rho)
    twice = divergence(np.concatenate([x[:1], x]), y, a=split, rho=rho)
    assert_allclose(twice, S, rtol=1e-7)


@pytest.mark.release
def test_a_large_epsilon_leaves_the_distance_of_the_means(divergence, rng):
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
    shift = x.mean(axis=0) - y.mean(axis=0)
    S = divergence(x, y, epsilon=1e6)
    assert_allclose(S, np.sum(shift**2), rtol=1e-4)


@pytest.mark.release
@pytest.mark.parametrize(
    "epsilon", [1.0, pytest.param(0.1, marks=pytest.mark.slow)]
)
def test_two_points_too_far_apart_have_their_closed_form(divergence, epsilon):
    p, q, rho, point = 2.0, 1.0, 0.5, np.zeros((1, 1))

    def of_itself(mass):
        exponent = 2.0 * (epsilon + rho) / (epsilon + 2.0 * rho)
        kept = mass**exponent
        return epsilon * (mass**2 - kept) + 2.0 * rho * (mass - kept)

    of_each_other = epsilon * p * q + rho * (p + q)
    masses = 0.5 * epsilon * (p - q) ** 2
    expected = of_each_other - 0.5 * (of_itself(p) + of_itself(q)) + masses
    a, b = np.array([p]), np.array([q])
    S = divergence(point, point + 100.0, a=a, b=b, epsilon=epsilon, rho=rho)
    assert_allclose(S, expected, rtol=1e-7)


@pytest.mark.release
def test_a_batch_of_divergences_equals_one_by_one(divergence, rng):
    x, y = rng.normal(size=(2, 5, 2)), rng.normal(size=(2, 4, 2))
    epsilon, solver = np.array([0.3, 3.0]), Sinkhorn(6, 0.0)
    S = divergence(x, y, epsilon=epsilon, solver=solver)
    for k in range(2):
        alone = divergence(x[k], y[k], epsilon=epsilon[k], solver=solver)
        assert_allclose(S[k], alone, rtol=1e-9)
