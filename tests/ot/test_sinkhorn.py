"""Sinkhorn: the textbook's iterations, in a safer arithmetic."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.special import logsumexp

from keras_otreg.ot import (
    Sinkhorn,
    TransportProblem,
    marginals,
    regularized_cost,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def textbook():
    """Sinkhorn's iterations in the log domain, one side relaxed or none."""

    def iterate(problem, iterations):
        C, a, b, epsilon, rho = problem
        rho_a, rho_b = rho if isinstance(rho, tuple) else (rho, rho)
        g = np.zeros_like(b)
        for _ in range(iterations):
            f = -epsilon * logsumexp((g - C) / epsilon, b=b, axis=1)
            f = f if rho_a is None else f * rho_a / (rho_a + epsilon)
            f_minus_C = f[:, None] - C
            g = -epsilon * logsumexp(f_minus_C / epsilon, b=a[:, None], axis=0)
            g = g if rho_b is None else g * rho_b / (rho_b + epsilon)
        return f, g

    return iterate


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsilon", "rho"),
    [(0.1, None), (2e-3, None), (0.1, (None, 0.5)), (0.1, (0.5, None))],
)
def test_its_iterations_are_those_of_the_textbook(
    solve, make_problem, textbook, epsilon, rho
):
    problem, iterations = make_problem(epsilon=epsilon, rho=rho), 50
    plain = Sinkhorn(iterations, tolerance=0.0, accelerated=False)
    solution = solve(plain, problem)
    f, g = textbook(problem, iterations)
    assert solution.num_iterations == iterations
    assert_allclose(solution.f, f, atol=1e-9)
    assert_allclose(solution.g, g, atol=1e-9)


@pytest.mark.slow
def test_a_start_sets_the_first_iteration(solve, make_problem, textbook):
    problem = make_problem()
    once = Sinkhorn(1, tolerance=0.0)
    thrice = solve(once, problem, solve(once, problem, solve(once, problem)))
    f, g = textbook(problem, 3)
    # A constant that moves from one side to the other changes nothing.
    constant = f[..., :1] - thrice.f[..., :1]
    assert_allclose(thrice.f + constant, f, atol=1e-9)
    assert_allclose(thrice.g - constant, g, atol=1e-9)


@pytest.mark.slow
def test_it_stops_as_soon_as_the_tolerance_is_met(solve, make_problem):
    problem, tolerance = make_problem(), 1e-6
    solution = solve(Sinkhorn(500, tolerance), problem)
    iterations = int(solution.num_iterations)
    assert solution.marginal_error <= tolerance
    before = solve(Sinkhorn(iterations - 1, tolerance), problem)
    assert before.marginal_error > tolerance


@pytest.mark.slow
def test_the_columns_are_exact_when_it_gives_up(solve, make_problem):
    problem = make_problem(epsilon=0.01)
    rows, columns = marginals(problem, solve(Sinkhorn(3, 0.0), problem))
    assert_allclose(columns, problem.b, rtol=1e-6)
    assert np.max(np.abs(rows - problem.a)) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsilon", "rho"),
    [(1e-4, None), (1e-3, 300.0)],
)
def test_points_of_no_mass_upset_nothing_in_float32(
    solve, make_problem, epsilon, rho
):
    problem = make_problem(20, 30, epsilon=epsilon, rho=rho, zeros=5)
    problem = problem._replace(C=problem.C.astype("float32"))
    solver = Sinkhorn(max_iterations=1000)
    solution = solve(solver, problem)
    assert np.all(np.isfinite(solution.f))
    assert np.all(np.isfinite(solution.g))
    assert np.isfinite(regularized_cost(problem, solution))
    assert (
        solution.marginal_error < 2e-3
        or solution.num_iterations == solver.max_iterations
    )


@pytest.mark.slow
def test_a_far_point_of_no_mass_has_finite_potentials(solve):
    # In the kernel of the other points its row overflows.
    C = np.array(
        [[547, 219, 521], [949, 103, 736], [1746, 572, 1615]], "float32"
    )
    problem = TransportProblem(
        C, np.array([0.0, 0.04, 0.96]), np.array([0.3, 0.4, 0.3]), 1.0
    )
    solution = solve(Sinkhorn(), problem)
    assert np.all(np.isfinite(solution.f))
    assert np.isfinite(regularized_cost(problem, solution))


@pytest.mark.slow
def test_stopping_early_means_converged_for_tiny_weights(solve):
    C = np.array([[47.0, 138.0, 5.0, 221.0], [38.0, 187.0, 191.0, 13.0]])
    a, b = np.array([1.0, 1e-20]), np.full(4, 0.25)
    problem = TransportProblem(C.astype("float32"), a, b, 1.0)
    solution = solve(Sinkhorn(2000), problem)
    assert solution.num_iterations < 2000
    assert solution.marginal_error < 2e-3


@pytest.mark.slow
def test_small_epsilon_in_float32_gives_the_plan_of_float64(
    solve, make_problem
):
    problem = make_problem(epsilon=0.01)
    solver = Sinkhorn(3000, tolerance=1e-5)
    rough = problem._replace(C=problem.C.astype("float32"))
    P = transport_plan(problem, solve(solver, problem))
    Q = transport_plan(rough, solve(solver, rough))
    assert keras.backend.standardize_dtype(Q.dtype) == "float32"
    assert_allclose(Q, P, atol=1e-4)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_iterations", 0),
        ("max_iterations", 2.5),
        ("max_iterations", "many"),
        ("tolerance", -1e-3),
        ("tolerance", float("nan")),
        ("tolerance", None),
    ],
)
def test_a_wrong_argument_is_named(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*{argument}={value!r}"):
        Sinkhorn(**{argument: value})


def test_its_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sinkhorn().tolerance = 0.1
