"""Laws that hold for the solution of every solver."""

import numpy as np
import pytest

from keras_otreg.ot import (
    TransportProblem,
    regularized_cost,
    transport_cost,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 1e3])
def test_one_point_to_one_point_costs_its_cost(solve, solver, epsilon):
    problem = TransportProblem(np.array([[2.5]]), [1.0], [1.0], epsilon)
    solution = solve(solver, problem)
    assert_allclose(regularized_cost(problem, solution), 2.5, rtol=1e-7)
    assert_allclose(transport_cost(problem, solution), 2.5, rtol=1e-7)


@pytest.mark.slow
def test_permuted_copies_cost_nothing_and_reveal_the_permutation(
    solve, solver, rng
):
    x, order = 10.0 * np.eye(6), rng.permutation(6)
    C = np.sum((x[:, None] - x[order][None]) ** 2, axis=-1)
    uniform = np.full(6, 1 / 6)
    problem = TransportProblem(C, uniform, uniform, 1e-3 * C.mean())
    solution = solve(solver, problem)
    P = transport_plan(problem, solution)
    assert_allclose(P, np.eye(6)[:, order] / 6, atol=1e-9)
    assert_allclose(transport_cost(problem, solution), 0.0, atol=1e-9)


@pytest.mark.slow
def test_a_large_epsilon_leaves_the_independent_plan(
    solve, solver, make_problem
):
    problem = make_problem(epsilon=1e6, zeros=1)
    P = transport_plan(problem, solve(solver, problem))
    assert_allclose(P, np.outer(problem.a, problem.b), atol=1e-6)


@pytest.mark.repeats
@pytest.mark.slow
def test_exchanging_the_sides_transposes_the_plan(
    solve, solver, rho, make_problem
):
    problem = make_problem(rho=rho)
    swapped = TransportProblem(
        problem.C.T,
        problem.b,
        problem.a,
        problem.epsilon,
        rho[::-1] if isinstance(rho, tuple) else rho,
    )
    one, two = solve(solver, problem), solve(solver, swapped)
    P, Q = transport_plan(problem, one), transport_plan(swapped, two)
    assert_allclose(P, np.transpose(Q), atol=1e-9)
    assert_allclose(
        regularized_cost(problem, one),
        regularized_cost(swapped, two),
        rtol=1e-7,
    )


@pytest.mark.repeats
def test_permuting_points_permutes_the_plan_and_nothing_else(
    solve, solver, rho, make_problem, rng
):
    problem = make_problem(rho=rho, zeros=1)
    i, j = rng.permutation(6), rng.permutation(8)
    permuted = problem._replace(
        C=problem.C[i][:, j], a=problem.a[i], b=problem.b[j]
    )
    one, two = solve(solver, problem), solve(solver, permuted)
    P = np.asarray(transport_plan(problem, one))
    assert_allclose(transport_plan(permuted, two), P[i][:, j], atol=1e-9)
    assert_allclose(
        regularized_cost(problem, one),
        regularized_cost(permuted, two),
        rtol=1e-7,
    )


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.1, 1000.0])
@pytest.mark.parametrize("relaxed", [False, True])
def test_scaling_cost_and_strength_scales_the_value(
    solve, solver, make_problem, scale, relaxed
):
    problem = make_problem(rho=0.5 if relaxed else None)
    scaled = problem._replace(
        C=scale * problem.C,
        epsilon=scale * problem.epsilon,
        rho=0.5 * scale if relaxed else None,
    )
    value = regularized_cost(problem, solve(solver, problem))
    scaled_value = regularized_cost(scaled, solve(solver, scaled))
    assert_allclose(scaled_value, scale * value, rtol=1e-7)


def test_a_constant_added_to_the_cost_is_added_to_the_value(
    solve, solver, make_problem
):
    problem = make_problem(zeros=1)
    shifted = problem._replace(C=problem.C + 3.0)
    one, two = solve(solver, problem), solve(solver, shifted)
    value = regularized_cost(problem, one)
    assert_allclose(regularized_cost(shifted, two), value + 3.0, rtol=1e-7)
    P = transport_plan(problem, one)
    assert_allclose(transport_plan(shifted, two), P, atol=1e-9)


@pytest.mark.repeats
@pytest.mark.slow
def test_splitting_the_mass_of_a_point_changes_nothing(
    solve, solver, rho, make_problem
):
    problem = make_problem(rho=rho)
    shares = problem.a[0] * np.array([0.25, 0.75])
    split = problem._replace(
        C=np.concatenate([problem.C[:1], problem.C]),
        a=np.concatenate([shares, problem.a[1:]]),
    )
    one, two = solve(solver, problem), solve(solver, split)
    P, Q = transport_plan(problem, one), transport_plan(split, two)
    assert_allclose(np.sum(Q[:2], axis=0), P[0], atol=1e-9)
    assert_allclose(
        regularized_cost(problem, one), regularized_cost(split, two), rtol=1e-7
    )


@pytest.mark.repeats
def test_the_dual_value_is_the_textbook_primal_at_the_optimum(
    solve, solver, rho, make_problem, primal
):
    problem = make_problem(rho=rho, zeros=1)
    solution = solve(solver, problem)
    P = transport_plan(problem, solution)
    value = regularized_cost(problem, solution)
    assert_allclose(value, primal(problem, P), rtol=1e-7)


@pytest.mark.slow
def test_an_infinite_price_of_violation_restores_the_marginals(
    solve, solver, make_problem
):
    problem = make_problem()
    priced = problem._replace(rho=1e5)
    one, two = solve(solver, problem), solve(solver, priced)
    P = transport_plan(problem, one)
    assert_allclose(transport_plan(priced, two), P, rtol=1e-3)
    value = regularized_cost(problem, one)
    assert_allclose(regularized_cost(priced, two), value, rtol=1e-4)
