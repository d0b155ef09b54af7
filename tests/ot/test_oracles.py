"""Answers from elsewhere: POT, SciPy and closed forms."""

import numpy as np
import ot as pot
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from keras_otreg.ot import (
    TransportProblem,
    marginals,
    regularized_cost,
    transport_cost,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose
# One strength in the default run, the others among the slow tests.
SHARP = [0.01, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.1, 4e-3))]
BLURRED = [0.3, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.05, 2.0))]


@pytest.mark.slow
def test_small_epsilon_solves_the_assignment(solve, solver, make_problem):
    problem = make_problem(6, 6, epsilon=5e-3)
    uniform = np.full(6, 1 / 6)
    problem = problem._replace(a=uniform, b=uniform)
    rows, columns = linear_sum_assignment(problem.C)
    solution = solve(solver, problem)
    matching = np.zeros((6, 6))
    matching[rows, columns] = 1 / 6
    assert_allclose(transport_plan(problem, solution), matching, atol=1e-3)
    cost = problem.C[rows, columns].mean()
    assert_allclose(transport_cost(problem, solution), cost, rtol=1e-3)


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", SHARP)
@pytest.mark.parametrize("zeros", [0, 2])
def test_the_cost_exceeds_linear_programming_by_at_most_the_entropy(
    solve, solver, make_problem, exact_cost, epsilon, zeros
):
    problem = make_problem(5, 8, epsilon=epsilon, zeros=zeros)
    solution = solve(solver, problem)
    mass = problem.a[problem.a > 0.0]
    excess = transport_cost(problem, solution) - exact_cost(problem)
    slack = np.max(problem.C) * float(solution.marginal_error) + 1e-6
    assert slack < 0.01
    assert -slack <= excess
    assert excess <= slack - epsilon * np.sum(mass * np.log(mass))


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 5.0])
def test_gaussians_on_the_line_have_their_closed_form(solve, solver, epsilon):
    (s1, s2), shift, s = (1.0, 0.5), 1.5, epsilon / 2
    grid = np.linspace(-7.0, 7.0, 81)
    a = b = norm.pdf(grid) / norm.pdf(grid).sum()
    C = (s1 * grid[:, None] - s2 * grid - shift) ** 2
    problem = TransportProblem(C, a, b, epsilon)
    D = np.sqrt(4 * s1**2 * s2**2 + s**2)
    expected = s1**2 + s2**2 - D + s * (1 - np.log(2 * s)) + s * np.log(D + s)
    value = regularized_cost(problem, solve(solver, problem))
    assert_allclose(value, expected + shift**2, rtol=1e-6)


@pytest.mark.repeats
@pytest.mark.parametrize("epsilon", BLURRED)
@pytest.mark.parametrize("zeros", [0, 2])
def test_balanced_plans_and_values_are_those_of_pot(
    solve, solver, make_problem, primal, epsilon, zeros
):
    problem = make_problem(epsilon=epsilon, zeros=zeros)
    expected = np.zeros((6, 8))
    expected[zeros:, zeros:] = pot.sinkhorn(
        problem.a[zeros:],
        problem.b[zeros:],
        problem.C[zeros:, zeros:],
        epsilon,
        method="sinkhorn_log",
        numItermax=10000,
        stopThr=1e-13,
    )
    solution = solve(solver, problem)
    assert_allclose(transport_plan(problem, solution), expected, atol=1e-8)
    value = regularized_cost(problem, solution)
    assert_allclose(value, primal(problem, expected), rtol=1e-7)


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", BLURRED[:2])
@pytest.mark.parametrize(
    "rho", [0.2, 5.0, (0.2, 5.0), (None, 0.5), (0.5, None)]
)
def test_relaxed_plans_and_values_are_those_of_pot(
    solve, solver, make_problem, primal, epsilon, rho
):
    problem = make_problem(epsilon=epsilon, rho=rho)
    sides = rho if isinstance(rho, tuple) else (rho, rho)
    expected = pot.unbalanced.sinkhorn_unbalanced(
        problem.a,
        problem.b,
        problem.C,
        epsilon,
        tuple(np.inf if side is None else side for side in sides),
        reg_type="kl",
        numItermax=3000,
        stopThr=1e-14,
    )
    solution = solve(solver, problem)
    assert_allclose(transport_plan(problem, solution), expected, atol=1e-7)
    value = regularized_cost(problem, solution)
    assert_allclose(value, primal(problem, expected), rtol=1e-6)


@pytest.mark.slow
def test_relaxed_transport_between_unequal_masses_is_that_of_pot(
    solve, solver, make_problem, primal
):
    problem = make_problem(rho=0.5)
    problem = problem._replace(a=2.0 * problem.a)
    expected = pot.unbalanced.sinkhorn_unbalanced(
        problem.a,
        problem.b,
        problem.C,
        0.1,
        0.5,
        reg_type="kl",
        numItermax=3000,
        stopThr=1e-14,
    )
    solution = solve(solver, problem)
    assert_allclose(transport_plan(problem, solution), expected, atol=1e-7)
    value = regularized_cost(problem, solution)
    assert_allclose(value, primal(problem, expected), rtol=1e-6)
    mass = np.sum(marginals(problem, solution)[0])
    assert 0.5 < mass < 2.0
