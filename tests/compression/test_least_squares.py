import numpy as np
import pytest

from keras_otreg.compression import least_squares
from keras_otreg.compression.least_squares import Regression, RegressionOfEach


@pytest.fixture
def problem(rng):
    x = rng.normal(size=(40, 5, 6))
    z = x @ rng.normal(size=(6, 3)) + 2.0 + 0.1 * rng.normal(size=(40, 5, 3))
    return x, z


def fitted(x, z, cuts=(), **settings):
    regression = Regression(x.shape[-1], z.shape[-1])
    edges = [0, *cuts, len(x)]
    for start, end in zip(edges, edges[1:], strict=False):
        regression.add(x[start:end], z[start:end], start)
    prior = np.zeros((x.shape[-1], z.shape[-1]))
    return regression.solve(
        prior, **{"ridge": 0.0, "intercept": True} | settings
    )


def test_without_a_ridge_it_is_the_solution_of_numpy(problem):
    x, z = problem
    kernel, constant, _ = fitted(x, z)
    rows = np.column_stack([x.reshape(-1, 6), np.ones(200)])
    known = np.linalg.lstsq(rows, z.reshape(-1, 3), rcond=None)[0]
    np.testing.assert_allclose(np.vstack([kernel, constant]), known, atol=1e-9)


def test_batches_of_any_size_give_the_same_solution(problem):
    for one, other in zip(
        fitted(*problem), fitted(*problem, cuts=(1, 8, 9)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_kept_rows_give_the_solution_of_moments(problem, monkeypatch):
    known = fitted(*problem, ridge=1e-2)
    monkeypatch.setattr(least_squares, "MAX_MOMENTS", 5)
    monkeypatch.setattr(least_squares, "MAX_ROWS", 1000)
    for one, other in zip(fitted(*problem, ridge=1e-2), known, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)


def test_an_endless_ridge_gives_the_prior(problem):
    x, z = problem
    prior = np.ones((6, 3))
    regression = Regression(6, 3)
    regression.add(x, z, 0)
    kernel, _, _ = regression.solve(prior, 1e12, True)
    np.testing.assert_allclose(kernel, prior, atol=1e-6)


def test_validation_takes_a_larger_ridge_where_rows_are_few(rng):
    x, z = rng.normal(size=(30, 1, 25)), rng.normal(size=(30, 1, 2))
    chosen = np.abs(fitted(x, z, ridge="validation")[0]).sum()
    assert chosen < 0.8 * np.abs(fitted(x, z, ridge=1e-6)[0]).sum()


def test_channels_that_are_fitted_each_are_fitted_as_alone(rng):
    x, z = rng.normal(size=(20, 4, 3, 5)), rng.normal(size=(20, 4, 3))
    each = RegressionOfEach(5, 3)
    each.add(x, z, 0)
    kernel, constant, _ = each.solve(np.zeros((5, 3)), 0.0, True)
    for c in range(3):
        known = fitted(x[:, :, c], z[:, :, c : c + 1])
        np.testing.assert_allclose(kernel[:, [c]], known[0], atol=1e-9)
        np.testing.assert_allclose(constant[[c]], known[1], atol=1e-9)
