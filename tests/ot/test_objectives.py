"""Values, and above all their gradients."""

import numpy as np
import pytest
from keras import ops

from keras_otreg.ot import (
    Sinkhorn,
    TransportProblem,
    costs,
    regularized_cost,
    sinkhorn_divergence,
    transport_cost,
    transport_plan,
)

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def tight(tight_sinkhorn):
    return tight_sinkhorn


@pytest.fixture(params=costs.COSTS.values(), ids=costs.COSTS.keys())
def cost(request):
    return request.param


@pytest.fixture
def value_of(tight):
    """The regularised cost as a function of `C`, `a` and `b`."""

    def make(problem, objective=regularized_cost):
        def value(C, a, b):
            live = TransportProblem(C, a, b, problem.epsilon, problem.rho)
            return objective(live, tight(live))

        return value

    return make


@pytest.mark.release
@pytest.mark.parametrize("objective", [regularized_cost, transport_cost])
def test_the_gradient_in_the_cost_is_the_plan(
    make_problem, solve, value_of, with_gradients, tight, rho, objective
):
    problem = make_problem(rho=rho, zeros=1)
    value = value_of(problem, objective)
    _, (gradient, _, _) = with_gradients(value)(*problem[:3])
    P = transport_plan(problem, solve(tight, problem))
    assert_allclose(gradient, P, atol=1e-8)


@pytest.mark.release
def test_the_gradient_in_the_weights_is_the_potential_up_to_a_constant(
    make_problem, solve, value_of, with_gradients, tight
):
    problem = make_problem()
    value = value_of(problem)
    scaled = with_gradients(lambda scale, *x: scale * value(*x))
    _, (_, *gradients) = scaled(np.array(1.0), *problem[:3])
    solution = solve(tight, problem)
    for gradient, potential in zip(gradients[1:], solution[:2], strict=True):
        difference = np.asarray(gradient - potential)
        assert_allclose(difference, difference[0], atol=1e-7)
    # Ten times the value has ten times the gradient.
    _, (_, *tenfold) = scaled(np.array(10.0), *problem[:3])
    for one, ten in zip(gradients, tenfold, strict=True):
        assert_allclose(ten, 10.0 * one, rtol=1e-12)


@pytest.mark.release
def test_the_gradient_in_relaxed_weights_is_the_price_of_the_violation(
    make_problem, solve, value_of, with_gradients, tight
):
    problem = make_problem(rho=0.5, epsilon=1e-2)
    _, (_, gradient, _) = with_gradients(value_of(problem))(*problem[:3])
    P = np.asarray(transport_plan(problem, solve(tight, problem)))
    # Besides it, the reference a b^T and its mass depend on the weights.
    entropic = problem.epsilon * (1.0 - P.sum(axis=1) / problem.a)
    expected = 0.5 * (1.0 - P.sum(axis=1) / problem.a) + entropic
    assert_allclose(gradient, expected, atol=1e-7)


@pytest.mark.release
def test_its_slopes_are_those_of_finite_differences(
    make_problem, value_of, assert_slope, rng, rho
):
    problem = make_problem(epsilon=0.2, rho=rho)
    directions = [0.1 * rng.normal(size=x.shape) for x in problem[:3]]
    if rho != 0.5:  # Then the masses of both sides must stay equal.
        directions[1:] = [d - d.mean() for d in directions[1:]]
    assert_slope(value_of(problem), problem[:3], directions)


@pytest.mark.release
def test_slopes_in_the_points_are_those_of_finite_differences(
    cost, tight, assert_slope, rng
):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    a, b = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(4))

    def value(x, y):
        problem = TransportProblem(cost(x, y), a, b, 0.5)
        return regularized_cost(problem, tight(problem))

    directions = [rng.normal(size=(5, 3)), rng.normal(size=(4, 3))]
    assert_slope(value, [x, y], directions)


@pytest.mark.release
def test_slopes_of_the_divergence_are_those_of_finite_differences(
    tight, assert_slope, rng
):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    arguments = [x, y, rng.dirichlet(np.ones(5))]
    directions = [rng.normal(size=value.shape) for value in arguments]
    directions[2] = 0.1 * (directions[2] - directions[2].mean())

    def value(x, y, a):
        return sinkhorn_divergence(x, y, "squared_euclidean", 1.0, tight, a=a)

    assert_slope(value, arguments, directions)


@pytest.mark.release
def test_the_gradient_is_that_of_the_unrolled_iterations(
    make_problem, value_of, with_gradients
):
    problem = make_problem(4, 3, epsilon=0.5)
    epsilon, a, b = 0.5, problem.a, problem.b

    def unrolled(C):
        g = ops.zeros_like(C[0])
        for _ in range(30):
            f = -epsilon * ops.logsumexp(np.log(b) + (g - C) / epsilon, axis=1)
            to_columns = np.log(a)[:, None] + (f[:, None] - C) / epsilon
            g = -epsilon * ops.logsumexp(to_columns, axis=0)
        relative = (f[:, None] + g - C) / epsilon
        P = np.outer(a, b) * ops.exp(relative)
        return ops.sum(P * (C + epsilon * relative))

    value, (gradient,) = with_gradients(unrolled)(problem.C)
    envelope, gradients = with_gradients(value_of(problem))(*problem[:3])
    assert_allclose(envelope, value, rtol=1e-7)
    assert_allclose(gradients[0], gradient, atol=1e-7)


@pytest.mark.release
def test_gradients_at_coincident_points_are_finite(cost, with_gradients, rng):
    x = rng.normal(size=(6, 3)).astype("float32")
    x[0], x[1] = 0.0, x[2]

    def value(x, y):
        return sinkhorn_divergence(x, y, cost, 0.05)

    value, gradients = with_gradients(value)(x, x)
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))


@pytest.mark.release
@pytest.mark.parametrize(
    "price",
    [1e4, *(pytest.param(x, marks=pytest.mark.slow) for x in (1e2, 1e8))],
)
def test_a_high_price_of_violation_leaves_the_value_in_float32(
    make_problem, solve, price
):
    problem = make_problem()
    problem = problem._replace(C=problem.C.astype("float32"))
    solver = Sinkhorn(1000, 1e-5)
    balanced = regularized_cost(problem, solve(solver, problem))
    priced = problem._replace(rho=price)
    value = regularized_cost(priced, solve(solver, priced))
    assert_allclose(value, balanced, rtol=1e-3 + 1.0 / price)


@pytest.mark.release
def test_transport_cost_is_the_price_of_the_plan(make_problem, solve, tight):
    problem = make_problem(batch=(2,))
    solution = solve(tight, problem)
    P = np.asarray(transport_plan(problem, solution))
    expected = np.sum(P * problem.C, axis=(1, 2))
    assert_allclose(transport_cost(problem, solution), expected, rtol=1e-9)


@pytest.mark.release
@pytest.mark.parametrize("rho", [None, 0.5])
def test_the_gradient_under_xla_is_that_of_the_graph(
    make_problem, with_gradients, rho
):
    problem = make_problem(4, 3, rho=rho, zeros=1)
    solver = Sinkhorn(50)

    def value(C, a, b):
        live = TransportProblem(C, a, b, 0.5, rho)
        return regularized_cost(live, solver(live))

    graph = with_gradients(value)(*problem[:3])
    xla = with_gradients(value, jit_compile=True)(*problem[:3])
    assert_allclose(xla[0], graph[0], rtol=1e-6)
    for one, two in zip(xla[1], graph[1], strict=True):
        assert_allclose(one, two, atol=1e-6)
