"""A plan that is held constant, and what points pay under it."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_otreg.ot import (
    ProximalPoint,
    Sinkhorn,
    TransportProblem,
    costs,
    fixed_plan,
    transport_plan,
)
from keras_otreg.ot.costs import as_cost

EPSILON = 0.1


@pytest.fixture
def points(rng):
    """Two sets of points in float64."""
    return [ops.convert_to_tensor(rng.normal(size=(n, 4))) for n in (5, 7)]


def expected(points, cost, solver):
    C = cost(*points)
    C = C / np.mean(C)
    a, b = (ops.full((n,), 1 / n, "float64") for n in C.shape)
    problem = TransportProblem(C, a, b, EPSILON)
    return transport_plan(problem, solver(problem))


@pytest.mark.release
@pytest.mark.parametrize("cost", costs.COSTS.values(), ids=costs.COSTS)
@pytest.mark.parametrize(
    "solver", [Sinkhorn(500, 1e-9), ProximalPoint(tolerance=1e-9)]
)
def test_it_is_the_plan_of_costs_of_mean_one(points, cost, solver):
    P, _ = fixed_plan.planner(cost, EPSILON, solver)(*points)
    assert_allclose(P, expected(points, cost, solver), atol=1e-9)


@pytest.mark.release
@pytest.mark.compiled
def test_compiled_and_as_written_agree(points, value_and_gradients):
    solver, values = Sinkhorn(500, 1e-9), []
    own = [costs.euclidean, as_cost(lambda x, y: costs.euclidean(x, y))]
    for cost in own:
        P = fixed_plan.planner(cost, EPSILON, solver)(*points)[0]
        paid = fixed_plan.column_costs(cost)

        def total(x, y, P=P, paid=paid):
            return ops.sum(paid(x, y, P) ** 2)

        _, slopes = value_and_gradients(total)(*points)
        values.append([P, paid(*points, P), *slopes])
    for compiled, written in zip(*values, strict=True):
        assert_allclose(compiled, written, atol=1e-8)


def test_no_gradient_passes_through_the_plan(points, value_and_gradients):
    planner = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn())
    total = value_and_gradients(lambda x, y: ops.sum(planner(x, y)[0] ** 2))
    for gradient in total(*points)[1]:
        assert_allclose(gradient, 0.0, atol=0.0)


@pytest.mark.repeats
@pytest.mark.parametrize("cost", costs.COSTS.values(), ids=costs.COSTS)
def test_the_gradients_are_those_of_what_is_written_out(
    points, rng, cost, value_and_gradients
):
    P = ops.convert_to_tensor(rng.uniform(size=(5, 7)))
    weights = ops.convert_to_tensor(rng.normal(size=7))
    slopes = []
    for paid in (
        fixed_plan.column_costs(cost),
        lambda x, y, P: ops.sum(P * cost(x, y), axis=0),
    ):

        def total(x, y, paid=paid):
            return ops.sum(weights * paid(x, y, P))

        value, gradients = value_and_gradients(total)(*points)
        slopes.append([value, *gradients])
    for ours, written in zip(*slopes, strict=True):
        assert_allclose(ours, written, rtol=1e-9)


@pytest.fixture
def running():
    """An average of costs, and how many steps are in it."""
    return keras.Variable(np.zeros((5, 7))), keras.Variable(0.0)


def _relative(C):
    return C / np.mean(C)


@pytest.mark.release
@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.compiled)]
)
def test_running_costs_are_a_weighted_mean_of_steps(points, running, compiled):
    costs_of = costs.euclidean
    if not compiled:
        costs_of = as_cost(lambda x, y: costs.euclidean(x, y))
    average, steps = running
    update = fixed_plan.running_costs(costs_of, 0.75, average, steps)
    x, y = (ops.cast(p, "float32") for p in points)
    for k in (1, 2, 3):
        update(k * x, y)
    C = [_relative(costs.euclidean(k * x, y)) for k in (1, 2, 3)]
    mean = (0.75**2 * C[0] + 0.75 * C[1] + C[2]) / (0.75**2 + 0.75 + 1)
    assert_allclose(average, mean, rtol=1e-5)
    assert_allclose(np.mean(np.array(average)), 1.0, rtol=1e-6)
    assert float(steps) == 3.0


@pytest.mark.release
def test_a_plan_of_given_costs_is_that_of_their_points(points):
    C = _relative(costs.euclidean(*points))
    solver = Sinkhorn(500, 1e-9)
    expected, _ = fixed_plan.planner(costs.euclidean, EPSILON, solver)(*points)
    for cost, given in ((fixed_plan.RELATIVE, C), (fixed_plan.KNOWN, 3.0 * C)):
        P, _ = fixed_plan.planner(cost, EPSILON, solver)(given)
        assert_allclose(P, expected, atol=1e-12)
        paid = fixed_plan.column_costs(cost)(given, P)
        assert_allclose(paid, np.sum(np.array(P * given), axis=0), rtol=1e-12)


@pytest.mark.parametrize("what", [np.nan, np.inf])
def test_what_is_not_finite_is_not_kept(points, running, what):
    x, y = (ops.cast(p, "float32") for p in points)
    update = fixed_plan.running_costs(costs.euclidean, 0.5, *running)
    update(x, y)
    before = [np.array(v) for v in running]
    update(ops.concatenate([x[:4], what * x[4:]], 0), y)
    for variable, value in zip(running, before, strict=True):
        assert_allclose(variable, value)
    g = ops.zeros((7,), "float64")
    planner = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn())
    P, solution = planner(points[0] * np.nan, points[1], g=g)
    assert np.all(np.isnan(np.array(P)))
    assert_allclose(solution.g, g)


def test_costs_of_nothing_but_zeros_have_no_part_in_the_mean(points, running):
    x, y = (ops.cast(p, "float32") for p in points)
    update = fixed_plan.running_costs(costs.euclidean, 0.5, *running)
    update(0.0 * x, 0.0 * y)
    assert float(running[1]) == 0.0
    update(x, y)
    update(0.0 * x, 0.0 * y)
    assert_allclose(running[0], _relative(costs.euclidean(x, y)), rtol=1e-5)


@pytest.mark.release
def test_the_last_potentials_are_a_start(points):
    solver = Sinkhorn(1, 0.0)
    full = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn(900, 1e-9))
    one = fixed_plan.planner(costs.euclidean, EPSILON, solver)
    zeros = ops.zeros((7,), "float64")
    P, solution = full(*points, g=zeros)
    assert_allclose(one(*points, g=solution.g)[0], P, atol=1e-8)
    assert np.abs(np.array(one(*points, g=zeros)[0] - P)).max() > 1e-3
