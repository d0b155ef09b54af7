"""A plan that is held constant, and what points pay under it."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_otreg.ot import (
    ProximalPoint,
    Sinkhorn,
    TransportProblem,
    costs,
    fixed_plan,
    transport_plan,
)

EPSILON = 0.1


@pytest.fixture
def points(rng):
    """Two sets of points in float64."""
    return [tf.constant(rng.normal(size=(n, 4))) for n in (5, 7)]


def expected(points, cost, solver):
    C = cost(*points)
    C = C / tf.reduce_mean(C)
    a, b = (tf.fill((n,), np.float64(1 / n)) for n in C.shape)
    problem = TransportProblem(C, a, b, EPSILON)
    return transport_plan(problem, solver(problem))


@pytest.mark.parametrize("cost", costs.COSTS.values(), ids=costs.COSTS)
@pytest.mark.parametrize(
    "solver", [Sinkhorn(500, 1e-9), ProximalPoint(tolerance=1e-9)]
)
def test_it_is_the_plan_of_costs_of_mean_one(points, cost, solver):
    plan = fixed_plan.planner(cost, EPSILON, solver)(*points)
    assert_allclose(plan.P, expected(points, cost, solver), atol=1e-9)
    assert plan.g is None
    assert plan.C is None


@pytest.mark.compiled
def test_compiled_and_as_written_agree(points):
    solver, values = Sinkhorn(500, 1e-9), []
    own = [costs.euclidean, lambda x, y: costs.euclidean(x, y)]
    for cost in own:
        with tf.GradientTape() as tape:
            tape.watch(points)
            P = fixed_plan.planner(cost, EPSILON, solver)(*points).P
            paid = fixed_plan.paid_by_columns(cost)(*points, P)
            total = tf.reduce_sum(paid**2)
        values.append([P, paid, *tape.gradient(total, points)])
    for compiled, written in zip(*values, strict=True):
        assert_allclose(compiled, written, atol=1e-8)


def test_no_gradient_passes_through_the_plan(points):
    with tf.GradientTape() as tape:
        tape.watch(points)
        planner = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn())
        total = tf.reduce_sum(planner(*points).P ** 2)
    assert tape.gradient(total, points) == [None, None]


@pytest.mark.parametrize("cost", costs.COSTS.values(), ids=costs.COSTS)
def test_the_gradients_are_those_of_what_is_written_out(points, rng, cost):
    P = tf.constant(rng.uniform(size=(5, 7)))
    weights = tf.constant(rng.normal(size=7))
    slopes = []
    for paid in (
        fixed_plan.paid_by_columns(cost),
        lambda x, y, P: tf.reduce_sum(P * cost(x, y), axis=0),
    ):
        with tf.GradientTape() as tape:
            tape.watch(points)
            total = tf.reduce_sum(weights * paid(*points, P))
        slopes.append([total, *tape.gradient(total, points)])
    for ours, written in zip(*slopes, strict=True):
        assert_allclose(ours, written, rtol=1e-9)


def test_earlier_costs_have_their_share(points):
    planner = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn(), 0.75)
    past = tf.ones((5, 7), "float64")
    made = planner(*points, None, past)
    C = costs.euclidean(*points)
    assert_allclose(made.C, 0.75 + 0.25 * C)
    assert np.all(np.isfinite(made.P))


@pytest.mark.parametrize("what", ["points", "potentials"])
def test_what_is_not_finite_is_not_kept(points, what):
    g, past = tf.zeros((7,), "float64"), tf.ones((5, 7), "float64")
    x, y = points
    if what == "points":
        x = x * np.nan
    else:
        past = past * np.nan
    planner = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn(), 0.5)
    made = planner(x, y, g, past)
    assert np.all(np.isnan(made.P))
    assert_allclose(made.g, g)
    assert_allclose(made.C, past)


def test_the_last_potentials_are_a_start(points):
    solver = Sinkhorn(1, 0.0)
    full = fixed_plan.planner(costs.euclidean, EPSILON, Sinkhorn(900, 1e-9))
    one = fixed_plan.planner(costs.euclidean, EPSILON, solver)
    zeros = tf.zeros((7,), "float64")
    made = full(*points, zeros)
    assert_allclose(one(*points, made.g).P, made.P, atol=1e-8)
    assert np.abs(one(*points, zeros).P - made.P).max() > 1e-3
