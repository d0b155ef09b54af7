"""ProximalPoint: steps that are easy, towards a plan that is sharp."""

import numpy as np
import pytest

from keras_otreg.ot import (
    ProximalPoint,
    TransportProblem,
    regularized_cost,
    transport_cost,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def textbook():
    """Exact proximal steps on the plan itself, as in the IPOT paper."""

    def iterate(problem, step, iterations):
        C, a, b = problem[:3]
        P = np.outer(a, b)
        for _ in range(iterations):
            Q, v = np.exp(-C / step) * P, np.ones_like(b)
            for _ in range(200):
                u = a / (Q @ v)
                v = b / (Q.T @ u)
            P = u[:, None] * Q * v
        return P

    return iterate


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_its_steps_are_those_of_the_textbook(
    solve, make_problem, textbook, iterations
):
    problem = make_problem(epsilon=4.0 / iterations)
    solver = ProximalPoint(4.0, iterations, 10, tolerance=0.0)
    solution = solve(solver, problem)
    assert solution.num_iterations == iterations
    P = textbook(problem, 4.0, iterations)
    assert_allclose(transport_plan(problem, solution), P, atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_its_kth_plan_scales_the_kernel_of_cost_times_k_over_step(
    solve, make_problem, iterations
):
    step = 0.5
    problem = make_problem(epsilon=step / iterations)
    solution = solve(ProximalPoint(step, iterations, tolerance=0.0), problem)
    P = np.asarray(transport_plan(problem, solution))
    scales = np.log(P) + iterations * problem.C / step
    scales = scales - scales[:1] - scales[:, :1] + scales[0, 0]
    assert_allclose(scales, 0.0, atol=1e-5)
    assert_allclose(P.sum(axis=0), problem.b, rtol=1e-6)


@pytest.mark.release
@pytest.mark.parametrize("zeros", [0, 2])
def test_it_reaches_the_cost_of_linear_programming(
    solve, make_problem, exact_cost, zeros
):
    problem = make_problem(7, 5, epsilon=2e-3, zeros=zeros)
    solution = solve(ProximalPoint(0.3, 3000, tolerance=1e-7), problem)
    cost = transport_cost(problem, solution)
    assert_allclose(cost, exact_cost(problem), rtol=1e-3)


@pytest.mark.slow
def test_it_ends_with_the_plan_of_sinkhorn(
    solve, make_problem, tight_sinkhorn, rho
):
    problem = make_problem(rho=rho, zeros=1)
    solver = ProximalPoint(0.3, 2000, tolerance=1e-11)
    P = transport_plan(problem, solve(solver, problem))
    Q = transport_plan(problem, solve(tight_sinkhorn, problem))
    assert_allclose(P, Q, atol=1e-8)


@pytest.mark.release
@pytest.mark.parametrize(
    ("step", "inner_iterations"), [(1e-3, 3), (1.0, 1), (10.0, 3)]
)
def test_its_plan_does_not_depend_on_how_it_got_there(
    solve, make_problem, tight_sinkhorn, step, inner_iterations
):
    problem = make_problem(epsilon=0.2)
    solver = ProximalPoint(step, 1000, inner_iterations, tolerance=1e-10)
    solution = solve(solver, problem)
    expected = regularized_cost(problem, solve(tight_sinkhorn, problem))
    assert solution.num_iterations < 1000
    assert_allclose(regularized_cost(problem, solution), expected, rtol=1e-7)


def test_a_step_too_long_for_its_iterations_is_shortened(solve, make_problem):
    problem = make_problem(epsilon=0.1)
    solver = ProximalPoint(1e6, max_iterations=200, inner_iterations=5)
    assert solve(solver, problem).marginal_error < 0.02


@pytest.mark.parametrize("step", [1e-6, 1e6])
@pytest.mark.parametrize("epsilon", [1e-4, 1e4])
def test_it_is_finite_at_extreme_settings(solve, make_problem, step, epsilon):
    problem = make_problem(epsilon=epsilon, zeros=2)
    problem = problem._replace(C=problem.C.astype("float32"))
    solution = solve(ProximalPoint(step), problem)
    for value in (*solution, regularized_cost(problem, solution)):
        assert np.all(np.isfinite(value))


def test_a_far_point_of_no_mass_does_not_stop_it(solve):
    # The change of its potential overflows; times its weight, that is NaN.
    C = np.array([[547.0, 219.0], [949.0, 103.0], [1746.0, 572.0]], "float32")
    problem = TransportProblem(
        C, np.array([0.0, 0.04, 0.96]), np.array([0.6, 0.4]), 1.0
    )
    solver = ProximalPoint(max_iterations=2000)
    solution = solve(solver, problem)
    assert solution.marginal_error < 2e-3


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("step", 0.0),
        ("step", float("inf")),
        ("max_iterations", 0),
        ("inner_iterations", 0),
        ("inner_iterations", 1.5),
        ("tolerance", -1.0),
    ],
)
def test_a_wrong_argument_is_named(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*{argument}={value!r}"):
        ProximalPoint(**{argument: value})
