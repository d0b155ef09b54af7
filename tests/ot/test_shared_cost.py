"""Many problems of one cost matrix, against one by one."""

import numpy as np
import ot as pot
import pytest
from keras import ops
from scipy.special import rel_entr, xlogy

from keras_otreg.ot import Sinkhorn, TransportProblem, regularized_cost
from keras_otreg.ot.shared_cost import values as shared_cost_values

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def shared(make_problem):
    """Three pairs of weights over one cost matrix."""

    def make(epsilon=0.2, rho=None, zeros=0):
        C, a, b, *_ = make_problem(batch=(3,), zeros=zeros)
        return TransportProblem(C[0], a, b, epsilon, rho)

    return make


@pytest.fixture
def values_of(tight_sinkhorn):
    """The values as a function of the weights of both sides."""

    def make(problem, *, safe=True, solver=tight_sinkhorn):
        C = ops.convert_to_tensor(problem.C)

        def values(a, b):
            live = problem._replace(C=C, a=a, b=b)
            return shared_cost_values(live, solver, safe=safe)

        return values

    return make


def _relaxed_primal(problem, k, P):
    value = np.sum(P * problem.C) + problem.epsilon * np.sum(xlogy(P, P))
    for mass, weights in ((P.sum(1), problem.a[k]), (P.sum(0), problem.b[k])):
        violation = np.sum(rel_entr(mass, weights)) - mass.sum() + weights.sum()
        value += problem.rho * violation
    return value


@pytest.mark.slow
@pytest.mark.parametrize(("safe", "zeros"), [(True, 0), (False, 2)])
def test_balanced_values_are_those_of_sinkhorn(
    shared, values_of, with_gradients, solve, tight_sinkhorn, safe, zeros
):
    problem = shared(zeros=zeros)
    values, _ = with_gradients(values_of(problem, safe=safe))(
        problem.a, problem.b
    )
    for k in range(3):
        a, b = problem.a[k], problem.b[k]
        alone = TransportProblem(problem.C, a, b, np.array(0.2))
        expected = regularized_cost(alone, solve(tight_sinkhorn, alone))
        assert_allclose(values[k], expected, rtol=1e-7)


@pytest.mark.parametrize(("safe", "rho"), [(True, 0.3), (False, 3.0)])
def test_relaxed_values_are_those_of_the_plan_of_pot(
    shared, values_of, with_gradients, safe, rho
):
    problem = shared(rho=rho)
    values, _ = with_gradients(values_of(problem, safe=safe))(
        problem.a, problem.b
    )
    for k in range(3):
        P = pot.unbalanced.sinkhorn_unbalanced(
            problem.a[k],
            problem.b[k],
            # KL(P | 1) is <P, log P - 1>; the entropy here is <P, log P>.
            problem.C + problem.epsilon,
            problem.epsilon,
            rho,
            reg_type="kl",
            c=np.ones_like(problem.C),
            numItermax=3000,
            stopThr=1e-14,
        )
        expected = _relaxed_primal(problem, k, P)
        assert_allclose(values[k], expected, rtol=1e-6)


@pytest.mark.parametrize(("safe", "rho"), [(True, 0.5), (False, None)])
def test_slopes_in_the_weights_are_those_of_finite_differences(
    shared, values_of, assert_slope, rng, safe, rho
):
    problem = shared(rho=rho)
    values = values_of(problem, safe=safe)
    scales = rng.normal(size=3)
    directions = [0.1 * rng.normal(size=w.shape) for w in problem[1:3]]
    if rho is None:  # Then the masses of both sides must stay equal.
        directions = [d - d.mean(axis=1, keepdims=True) for d in directions]

    def total(a, b):
        return ops.sum(scales * values(a, b))

    assert_slope(total, problem[1:3], directions)


@pytest.mark.parametrize(
    ("epsilon", "rho"), [(1e-3, None), (1e-3, 1.0), (10.0, None)]
)
def test_in_float32_one_hot_and_tiny_weights_are_finite(
    shared, values_of, with_gradients, rng, epsilon, rho
):
    problem = shared(epsilon=epsilon, rho=rho)
    a = np.eye(6, dtype="float32")[:3]
    logits = 20.0 * rng.normal(size=(3, 8)).astype("float32")
    b = np.array(ops.softmax(logits))
    problem = problem._replace(C=np.float32(problem.C))
    safe = np.max(problem.C) / epsilon <= 60.0
    function = values_of(problem, safe=bool(safe), solver=Sinkhorn(50))
    values, gradients = with_gradients(function)(a, b)
    for value in (values, *gradients):
        assert np.all(np.isfinite(value))
    if rho is None:  # There is only one plan from a single point.
        expected = np.sum(b * problem.C[:3], axis=1)
        assert_allclose(values, expected, rtol=1e-4)
