import numpy as np
import pytest

from keras_otreg.compression import least_squares
from keras_otreg.compression.least_squares import SHARES, Regression


@pytest.fixture
def problem(rng):
    x = rng.normal(size=(40, 5, 1, 6))
    z = x @ rng.normal(size=(6, 3)) + 2.0
    return x, z + 0.1 * rng.normal(size=z.shape)


def fitted(x, z, cuts=(), prior=0.0, shares=(0.0,)):
    sizes = (x.shape[2], x.shape[3], z.shape[3])
    regression = Regression(x.shape[3])
    edges = [0, *cuts, len(x)]
    for start, end in zip(edges, edges[1:], strict=False):
        regression.add(x[start:end], z[start:end], start)
    return regression.solve(np.full(sizes, prior), shares, True)


def test_without_a_ridge_it_is_the_solution_of_numpy(problem):
    x, z = problem
    kernel, constant, _ = fitted(x, z)
    rows = np.column_stack([x.reshape(-1, 6), np.ones(200)])
    known = np.linalg.lstsq(rows, z.reshape(-1, 3), rcond=None)[0]
    np.testing.assert_allclose(np.vstack([kernel[0], constant]), known, 1e-7)


def test_batches_of_any_size_give_the_same_solution(problem):
    for one, other in zip(
        fitted(*problem), fitted(*problem, cuts=(1, 8, 9)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_kept_rows_give_the_solution_of_moments(problem, monkeypatch):
    known = fitted(*problem, shares=(1e-2,))
    monkeypatch.setattr(least_squares, "MAX_MOMENTS", 5)
    monkeypatch.setattr(least_squares, "MAX_ROWS", 1000)
    found = fitted(*problem, shares=(1e-2,))
    for one, other in zip(found, known, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)


def test_an_endless_ridge_gives_the_prior(problem):
    kernel, _, _ = fitted(*problem, prior=1.0, shares=(1e12,))
    np.testing.assert_allclose(kernel, 1.0, atol=1e-6)


def test_validation_takes_a_larger_ridge_where_rows_are_few(rng):
    x, z = rng.normal(size=(30, 1, 1, 25)), rng.normal(size=(30, 1, 1, 2))
    chosen = np.abs(fitted(x, z, shares=SHARES)[0]).sum()
    assert chosen < 0.8 * np.abs(fitted(x, z, shares=SHARES[:1])[0]).sum()


def test_sets_are_fitted_as_alone(rng):
    x, z = rng.normal(size=(20, 4, 3, 5)), rng.normal(size=(20, 4, 3, 1))
    together = fitted(x, z)
    for k in range(3):
        own = slice(k, k + 1)
        alone = fitted(x[:, :, own], z[:, :, own])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[own], other, atol=1e-9)
