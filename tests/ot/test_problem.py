"""Problems and divergences in units of the mean cost."""

import numpy as np
import pytest

from keras_otreg.ot import ProximalPoint, Sinkhorn, costs, sinkhorn_divergence
from keras_otreg.ot.objectives import relative_divergence
from keras_otreg.ot.plan import mean_cost, relative_problem

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def clouds(rng):
    """Two batches of clouds, and their weights."""
    x, y = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4, 3))
    weights = rng.dirichlet(np.ones(5), 2), rng.dirichlet(np.ones(4), 2)
    return x, y, weights


def test_the_mean_cost_is_that_of_the_independent_plan(make_problem):
    problem = make_problem(batch=(2,), zeros=1)
    mean = mean_cost(*problem[:3])
    expected = np.einsum("kn,km,knm->k", problem.a, problem.b, problem.C)
    assert_allclose(mean, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_relative_problem_has_mean_cost_one_in_any_unit(make_problem, scale):
    C, a, b, epsilon, _ = make_problem(batch=(2,))
    problem = relative_problem(scale * C, a, b, epsilon)
    assert_allclose(mean_cost(*problem[:3]), 1.0, rtol=1e-12)
    expected = C / np.einsum("kn,km,knm->k", a, b, C)[:, None, None]
    assert_allclose(problem.C, expected, rtol=1e-12)


def test_a_relative_problem_takes_no_gradient(make_problem, with_gradients):
    C, a, b = make_problem()[:3]

    def total(C):
        problem = relative_problem(C, a, b, 0.1)
        return mean_cost(*problem[:3]) + problem.C[0, 0]

    _, (gradient,) = with_gradients(total)(C)
    assert_allclose(gradient, 0.0, atol=0.0)


@pytest.mark.release
def test_a_relative_divergence_has_the_unit_of_the_cost(clouds):
    (x, y, weights), scale = clouds, 1e3
    cost, solver = costs.squared_euclidean, Sinkhorn(5, 0.0)
    S = relative_divergence(scale * x, scale * y, cost, 0.5, solver, *weights)
    for k in range(2):
        a, b = weights[0][k], weights[1][k]
        epsilon = 0.5 * mean_cost(cost(x[k], y[k]), a, b)
        alone = sinkhorn_divergence(x[k], y[k], cost, epsilon, solver, a=a, b=b)
        assert_allclose(S[k], scale**2 * alone, rtol=1e-6)


@pytest.mark.release
@pytest.mark.parametrize("cost", costs.COSTS.values(), ids=costs.COSTS.keys())
def test_clouds_of_one_repeated_point_cost_nothing(cost, with_gradients):
    x, weights = np.ones((4, 3), "float32"), np.full(4, 0.25, "float32")

    def value(x, y):
        solver = ProximalPoint(max_iterations=3)
        return relative_divergence(x, y, cost, 0.1, solver, weights, weights)

    S, gradients = with_gradients(value)(x, x)
    assert_allclose(S, 0.0, atol=1e-6)
    assert np.all(np.isfinite(gradients))
