"""What transport losses show of their plans."""

import numpy as np
import pytest

from keras_otreg import losses, ot

assert_allclose = np.testing.assert_allclose
SOLVER = ot.Sinkhorn(tolerance=1e-4, accelerated=False)


@pytest.fixture
def layers(rng):
    return rng.normal(size=(8, 5)), rng.normal(size=(8, 5))


@pytest.mark.parametrize(
    ("kind", "between", "size"),
    [
        (losses.RepresentationTransport, "neuron", 5),
        (losses.TransportAlignment, "neuron", 5),
        (losses.SinkhornDivergence, "sample", 8),
    ],
)
def test_a_loss_shows_its_plan_and_how_it_was_solved(
    kind, between, size, layers
):
    seen = kind(epsilon=0.5, solver=SOLVER).solved(*layers)
    assert (seen.between, seen.epsilon, seen.solver) == (between, 0.5, SOLVER)
    assert seen.P.shape == (size, size)
    sums = np.sum(seen.P, axis=0), np.sum(seen.P, axis=1)
    assert_allclose(np.sum(sums, axis=1), 1.0, rtol=1e-4)
    assert 0 < int(seen.num_iterations) <= 200
    assert 0.0 <= float(seen.marginal_error) <= 1e-4


def test_a_solver_that_gives_up_says_so(layers):
    few = ot.Sinkhorn(max_iterations=1, tolerance=1e-6, accelerated=False)
    loss = losses.RepresentationTransport(epsilon=0.01, solver=few)
    assert float(loss.solved(*layers).marginal_error) > 1e-3


def test_class_plans_come_one_for_each_sample(rng):
    a, b = rng.dirichlet(np.ones(4), 6), rng.dirichlet(np.ones(3), 6)
    costs = rng.random((4, 3))
    loss = losses.ClassTransport(costs, epsilon=0.5, solver=SOLVER)
    seen = loss.solved(a, b)
    assert seen.between == "class"
    assert_allclose(np.sum(seen.P, axis=2), a, atol=1e-3)
    assert_allclose(np.sum(seen.P, axis=1), b, atol=1e-3)
    assert 0 < int(seen.num_iterations) < 200
    assert float(seen.marginal_error) <= 1e-4
    few = ot.Sinkhorn(max_iterations=1, tolerance=1e-6)
    seen = losses.ClassTransport(costs, epsilon=0.02, solver=few).solved(a, b)
    assert int(seen.num_iterations) == 1
    assert float(seen.marginal_error) > 1e-3


def test_a_sample_of_weight_zero_is_left_out_of_the_plan(layers):
    weights = np.array([1.0] * 6 + [0.0] * 2)
    rest = [layer[:6] for layer in layers]
    for kind in (losses.RepresentationTransport, losses.TransportAlignment):
        loss = kind(epsilon=0.5, solver=SOLVER)
        weighted = loss.solved(*layers, weights).P
        assert_allclose(weighted, loss.solved(*rest).P, atol=1e-4)


def test_a_control_has_nothing_solved(layers):
    loss = losses.RepresentationTransport(plan="identity")
    seen = loss.solved(*layers)
    assert_allclose(seen.P, np.eye(5) / 5)
    assert seen.solver is None
    assert seen.num_iterations is None
