"""What can be read from a plan."""

import keras
import numpy as np
import pytest

from keras_otreg.ot import (
    Sinkhorn,
    TransportProblem,
    TransportSolution,
    barycentric_map,
    marginals,
    permuted_fraction,
    plan_entropy,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def matching(solve, tight_sinkhorn, rng):
    """Points, a permutation of them, and the solution that finds it."""
    x, order = 10.0 * np.eye(5, 3), rng.permutation(5)
    x = x + rng.normal(size=(5, 3))
    C = np.sum((x[:, None] - x[order][None]) ** 2, axis=-1)
    uniform = np.full(5, 0.2)
    problem = TransportProblem(C, uniform, uniform, 1e-3 * C.mean())
    return x, order, problem, solve(tight_sinkhorn, problem)


def test_the_plan_is_the_weights_times_the_density(make_problem, rng):
    problem = make_problem(epsilon=0.5, batch=(2,))
    f, g = rng.normal(size=(2, 6)), rng.normal(size=(2, 8))
    P = transport_plan(problem, TransportSolution(f, g, 0, 0.0))
    C, a, b = problem[:3]
    relative = np.exp((f[:, :, None] + g[:, None, :] - C) / 0.5)
    assert_allclose(P, a[:, :, None] * b[:, None, :] * relative, rtol=1e-6)


@pytest.mark.repeats
@pytest.mark.slow
def test_marginals_are_the_sums_of_the_plan(make_problem, solve, rho):
    problem = make_problem(rho=rho, batch=(2,))
    solution = solve(Sinkhorn(3), problem)
    P = np.asarray(transport_plan(problem, solution))
    rows, columns = marginals(problem, solution)
    assert_allclose(rows, P.sum(axis=2), rtol=1e-12)
    assert_allclose(columns, P.sum(axis=1), rtol=1e-12)


@pytest.mark.slow
def test_a_point_of_no_mass_sends_and_receives_nothing(make_problem, solve):
    problem = make_problem(zeros=2)
    P = np.asarray(transport_plan(problem, solve(Sinkhorn(), problem)))
    assert np.all(P >= 0.0)
    assert np.all(P[:2] == 0.0)
    assert np.all(P[:, :2] == 0.0)


@pytest.mark.slow
def test_entropy_of_a_matching_is_zero(matching):
    _, _, problem, solution = matching
    assert_allclose(plan_entropy(problem, solution), 0.0, atol=1e-6)


@pytest.mark.parametrize("zeros", [0, 2])
def test_entropy_of_an_independent_plan_is_one(make_problem, zeros):
    problem = make_problem(zeros=zeros)._replace(C=np.zeros((6, 8)))
    nothing = TransportSolution(np.zeros(6), np.zeros(8), 0, 0.0)
    assert_allclose(plan_entropy(problem, nothing), 1.0, rtol=1e-12)


@pytest.mark.slow
def test_entropy_grows_with_epsilon_from_zero_to_one(make_problem, solve):
    problem = make_problem(batch=(6,), zeros=1)
    C, a, b = (np.stack([value[0]] * 6) for value in problem[:3])
    problem = TransportProblem(C, a, b, np.geomspace(1e-2, 1e2, 6))
    entropies = plan_entropy(problem, solve(Sinkhorn(2000), problem))
    assert np.all(np.diff(entropies) > 0.0)
    assert np.all(entropies >= 0.0)
    assert np.all(entropies <= 1.0)
    assert entropies[0] < 0.5
    assert entropies[-1] > 0.99


@pytest.mark.slow
def test_entropy_does_not_depend_on_the_total_mass(make_problem, solve):
    problem = make_problem()
    solution = solve(Sinkhorn(), problem)
    half = problem._replace(a=0.5 * problem.a)
    expected = plan_entropy(problem, solution)
    assert_allclose(plan_entropy(half, solution), expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (4, 1)])
def test_entropy_is_zero_where_a_side_has_one_point(make_problem, solve, n, m):
    problem = make_problem(n, m)
    solution = solve(Sinkhorn(), problem)
    assert plan_entropy(problem, solution) == 0.0


@pytest.mark.slow
def test_a_matching_maps_each_point_to_its_partner(matching):
    x, order, problem, solution = matching
    images = barycentric_map(problem, solution, x[order])
    assert_allclose(images, x, atol=1e-6)


@pytest.mark.slow
def test_a_blurred_plan_maps_every_point_to_the_mean(make_problem, solve, rng):
    problem, points = make_problem(epsilon=1e6), rng.normal(size=(8, 3))
    images = barycentric_map(problem, solve(Sinkhorn(), problem), points)
    mean = problem.b @ points
    assert_allclose(images, np.tile(mean, (6, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_images_are_weighted_means_in_the_precision_of_the_cost(
    make_problem, solve, rng, dtype
):
    problem, points = make_problem(batch=(2,)), rng.normal(size=(2, 8, 3))
    problem = problem._replace(C=problem.C.astype(dtype))
    solution = solve(Sinkhorn(), problem)
    P = np.asarray(transport_plan(problem, solution))
    expected = (P @ points) / P.sum(axis=-1, keepdims=True)
    images = barycentric_map(problem, solution, points)
    assert keras.backend.standardize_dtype(images.dtype) == dtype
    assert_allclose(images, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_point_of_no_mass_maps_where_a_little_mass_would(
    make_problem, solve, tight_sinkhorn, rng
):
    problem, points = make_problem(zeros=1), rng.normal(size=(8, 3))
    weighted = problem._replace(a=problem.a + 1e-9 * (problem.a == 0.0))
    images = barycentric_map(problem, solve(tight_sinkhorn, problem), points)
    solution = solve(Sinkhorn(500, 1e-8), weighted)
    expected = barycentric_map(weighted, solution, points)
    assert_allclose(images, expected, atol=1e-5)


def test_a_side_of_no_mass_gives_nothing_but_finite_numbers(make_problem):
    problem = make_problem()
    problem = problem._replace(a=np.zeros(6), b=np.zeros(8))
    nothing = TransportSolution(np.zeros(6), np.zeros(8), 0, 0.0)
    assert_allclose(transport_plan(problem, nothing), 0.0)
    assert plan_entropy(problem, nothing) == 0.0
    assert np.all(np.isfinite(barycentric_map(problem, nothing, np.eye(8))))


def test_the_permuted_fraction_counts_neurons_that_left_their_place(rng):
    order = np.array([0, 2, 1, 3, 4, 5, 6, 7])
    P = np.eye(8)[order] + 0.1 * rng.random((8, 8))
    assert_allclose(permuted_fraction(P), 0.25)
    assert_allclose(permuted_fraction(np.stack([P, np.eye(8)])), [0.25, 0.0])


def test_rows_without_mass_are_not_permuted():
    P = np.diag([0.5, 0.5, 0.0])
    assert_allclose(permuted_fraction(P), 0.0)
    assert_allclose(permuted_fraction(np.zeros((3, 3))), 0.0)
    P = np.array([[0.0, 0.5, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]])
    assert_allclose(permuted_fraction(P), 0.5)


@pytest.mark.parametrize("shape", [(3, 4), (4,)])
def test_only_square_plans_have_places(shape):
    with pytest.raises(ValueError, match="square plan"):
        permuted_fraction(np.ones(shape))
