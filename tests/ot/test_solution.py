"""What a solver returns: errors, iterations, batches, warm starts."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from keras_otreg.ot import (
    Sinkhorn,
    TransportProblem,
    marginals,
    regularized_cost,
)

assert_allclose = np.testing.assert_allclose


@pytest.mark.release
def test_the_marginal_error_is_that_of_the_marginals(
    solve, solver, rho, make_problem
):
    problem = make_problem(rho=rho, zeros=1)
    solver = dataclasses.replace(solver, max_iterations=3)
    solution = solve(solver, problem)
    rhos = rho if isinstance(rho, tuple) else (rho, rho)
    expected = 0.0
    for k, mass in enumerate(marginals(problem, solution)):
        wanted = problem[1 + k] * np.exp(-solution[k] / (rhos[k] or np.inf))
        expected += np.sum(np.abs(mass - wanted))
    assert_allclose(solution.marginal_error, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.release
def test_giving_up_early_is_visible(solve, solver, make_problem):
    problem = make_problem(epsilon=0.01)
    solution = solve(dataclasses.replace(solver, max_iterations=1), problem)
    assert solution.num_iterations == 1
    assert solution.marginal_error > 0.05


@pytest.mark.release
def test_stopping_early_means_converged(solve, solver, rho, make_problem):
    problem = make_problem(rho=rho, zeros=1)
    solution = solve(solver, problem)
    assert solution.num_iterations < solver.max_iterations
    assert solution.marginal_error <= 2.0 * solver.tolerance


@pytest.mark.release
def test_a_high_price_of_violation_costs_no_iterations(
    solve, solver, make_problem
):
    problem = make_problem()
    balanced = solve(solver, problem)
    priced = solve(solver, problem._replace(rho=1000.0))
    assert priced.num_iterations <= 2 * balanced.num_iterations


@pytest.mark.release
def test_a_batch_of_problems_equals_one_by_one(solve, solver, make_problem):
    batch = (2, 3)
    problem = make_problem(batch=batch, zeros=1, rho=(None, 0.5))
    problem = problem._replace(epsilon=np.geomspace(0.05, 2.0, np.prod(batch)))
    problem = problem._replace(epsilon=problem.epsilon.reshape(batch))
    together = solve(solver, problem)
    values = regularized_cost(problem, together)
    for index in np.ndindex(batch):
        C, a, b, epsilon = (value[index] for value in problem[:4])
        alone = TransportProblem(C, a, b, epsilon, problem.rho)
        solution = solve(solver, alone)
        assert_allclose(together.f[index], solution.f, atol=1e-8)
        value = regularized_cost(alone, solution)
        assert_allclose(values[index], value, rtol=1e-7)


@pytest.mark.release
def test_every_problem_of_a_batch_has_its_own_iterations_and_price(
    solve, solver, make_problem
):
    problem = make_problem(batch=(3,))
    problem = problem._replace(
        epsilon=np.array([1.0, 0.3, 0.1]), rho=np.array([0.5, 1.0, 2.0])
    )
    together = solve(solver, problem)
    assert together.num_iterations.shape == (3,)
    assert together.marginal_error.shape == (3,)
    # The last guesses are of the size of rounding, and PyTorch rounds one
    # problem otherwise than a batch.
    slack = 10 if keras.backend.backend() == "torch" else 0
    for k in range(3):
        alone = solve(solver, TransportProblem(*(x[k] for x in problem)))
        assert_allclose(
            together.num_iterations[k], alone.num_iterations, atol=slack
        )
        assert_allclose(together.f[k], alone.f, atol=1e-8)


@pytest.mark.release
def test_one_cost_matrix_serves_a_batch_of_weights(solve, solver, make_problem):
    problem = make_problem(batch=(3,))
    shared = problem._replace(C=problem.C[0])
    repeated = problem._replace(C=np.stack([problem.C[0]] * 3))
    values = regularized_cost(shared, solve(solver, shared))
    expected = regularized_cost(repeated, solve(solver, repeated))
    assert_allclose(values, expected, rtol=1e-7)


@pytest.mark.release
def test_a_warm_start_needs_at_most_two_iterations(
    solve, solver, rho, make_problem
):
    problem = make_problem(rho=rho)
    solution = solve(solver, problem)
    relaxed = dataclasses.replace(solver, tolerance=1e-6)
    again = solve(relaxed, problem, solution)
    assert solution.num_iterations > 2
    assert again.num_iterations <= 2


def test_a_warm_start_may_be_numpy_arrays_of_any_precision(
    solver, make_problem
):
    problem = make_problem(3, 2)
    problem = problem._replace(C=problem.C.astype("float32"))
    solver = dataclasses.replace(solver, max_iterations=3, tolerance=0.1)
    solution = solver(problem, init=(np.zeros(3), np.zeros(2)))
    assert keras.backend.standardize_dtype(solution.f.dtype) == "float32"


@pytest.mark.release
def test_a_nan_cost_ends_the_solver_and_shows(solve, solver, make_problem):
    problem = make_problem(batch=(2,))
    alone = TransportProblem(problem.C[1], problem.a[1], problem.b[1], 0.1)
    problem.C[0, 0, 0] = np.nan
    solution = solve(solver, problem)
    value = regularized_cost(problem, solution)
    assert solution.num_iterations[0] < solver.max_iterations
    assert np.isnan(solution.marginal_error[0])
    assert np.isnan(value[0])
    expected = regularized_cost(alone, solve(solver, alone))
    assert_allclose(value[1], expected, rtol=1e-7)


@pytest.mark.release
@pytest.mark.compiled
@pytest.mark.parametrize("rho", [None, 0.5])
def test_eager_graph_and_xla_agree(
    solver, make_problem, as_tensors, one_graph, rho
):
    problem = as_tensors(make_problem(4, 3, epsilon=1.0, rho=rho, zeros=1))
    solver = dataclasses.replace(solver, max_iterations=20, tolerance=1e-3)
    eager = solver(problem)
    for jit_compile in (False, True):
        compiled = one_graph(solver.__call__, jit_compile=jit_compile)
        for one, two in zip(eager, compiled(problem), strict=True):
            assert_allclose(one, two, rtol=1e-6, atol=1e-9)


@pytest.mark.release
def test_no_gradient_passes_through_a_solver(
    solver, make_problem, with_gradients
):
    problem = make_problem()

    def potentials(C, a, b):
        solution = solver(TransportProblem(C, a, b, 0.1))
        return ops.sum(solution.f) + ops.sum(solution.g)

    _, gradients = with_gradients(potentials)(*problem[:3])
    for gradient in gradients:
        assert_allclose(gradient, 0.0, atol=0.0)


def test_a_solver_survives_its_config(solver):
    config = solver.get_config()
    assert type(solver).from_config(config) == solver
    saved = keras.saving.serialize_keras_object(solver)
    assert saved["registered_name"] == f"keras_otreg>{type(solver).__name__}"
    assert keras.saving.deserialize_keras_object(saved) == solver


def test_a_python_epsilon_keeps_the_precision_of_the_cost(
    solve, solver, make_problem
):
    problem = make_problem(epsilon=np.array(0.1), rho=np.array(0.3))
    solution = solve(solver, problem)
    plain = problem._replace(epsilon=0.1, rho=0.3)
    value = regularized_cost(problem, solution)
    assert_allclose(regularized_cost(plain, solution), value, rtol=1e-12)


@pytest.mark.release
def test_a_large_constant_in_a_start_costs_nothing(solve, make_problem):
    problem = make_problem()
    problem = TransportProblem(*(np.float32(x) for x in problem[:4]))
    solver = Sinkhorn(tolerance=1e-4)
    solution = solve(solver, problem)
    far = np.asarray(solution.f) - 1e4, np.asarray(solution.g) + 1e4
    again = solve(solver, problem, far)
    assert again.marginal_error <= solver.tolerance
    assert again.num_iterations <= solution.num_iterations


@pytest.mark.release
def test_an_easy_problem_counts_its_own_iterations_beside_a_hard_one(
    solve, rng
):
    x, y = rng.normal(size=(2, 20, 2))
    C = np.sum((x[:, None] - y) ** 2, axis=-1)
    a = np.full(20, 0.05)
    solver = Sinkhorn(5000, tolerance=1e-6)
    epsilons = np.array([1.0, 0.001]) * C.mean()
    together = solve(solver, TransportProblem(C, np.stack([a, a]), a, epsilons))
    alone = solve(solver, TransportProblem(C, a, a, float(epsilons[0])))
    assert together.num_iterations[1] > 100
    assert together.num_iterations[0] == alone.num_iterations
