"""Extrapolation: what it finds in a linear sequence, and when it is wrong."""

import numpy as np
import pytest

from keras_otreg.ot import Sinkhorn, TransportProblem, transport_plan
from keras_otreg.ot.scaling_loop import Step, extrapolated

assert_allclose = np.testing.assert_allclose


@pytest.fixture
def linear_map(rng):
    """An affine contraction of the plane of three modes, and its steps."""
    size, modes = 8, 3
    directions = np.linalg.qr(rng.normal(size=(size, modes)))[0]
    matrix = directions @ np.diag([0.9, 0.7, 0.5]) @ directions.T
    fixed_point = rng.normal(size=size)

    def image(x):
        return fixed_point + matrix @ (x - fixed_point)

    def steps(count):
        x = fixed_point + directions @ rng.normal(size=modes)
        found = []
        for _ in range(count):
            found.append(Step(x, image(x) - x))
            x = image(x)
        return found

    return fixed_point, steps


def _differences(steps):
    pairs = zip(steps[1:], steps[:-1], strict=True)
    return [Step(b.point - a.point, b.residual - a.residual) for b, a in pairs]


def test_as_many_differences_as_modes_find_the_fixed_point(linear_map):
    fixed_point, steps = linear_map
    last = steps(4)
    found = extrapolated(last[-1], _differences(last), np.ones(8))
    assert_allclose(found, fixed_point, atol=1e-9)


def test_fewer_differences_come_closer_than_the_map_does(linear_map):
    fixed_point, steps = linear_map
    last = steps(3)
    found = extrapolated(last[-1], _differences(last), np.ones(8))
    plain = last[-1].point + last[-1].residual
    gain = np.linalg.norm(found - fixed_point)
    assert gain < 0.5 * np.linalg.norm(plain - fixed_point)


def test_without_differences_it_is_the_image():
    last = Step(np.array([1.0, 2.0]), np.array([0.5, -0.5]))
    nothing = Step(np.zeros(2), np.zeros(2))
    for differences in ([], [nothing, nothing]):
        found = extrapolated(last, differences, np.ones(2))
        assert_allclose(found, [1.5, 1.5])


def test_a_coordinate_without_weight_has_no_say(linear_map):
    _, steps = linear_map
    last = steps(4)
    weights = np.array([1.0] * 7 + [0.0])
    spoilt = [Step(s.point.copy(), s.residual.copy()) for s in last]
    for step in spoilt:
        step.residual[7] = 100.0 * step.point[7]
    found, expected = (
        extrapolated(s[-1], _differences(s), weights) for s in (spoilt, last)
    )
    assert_allclose(found[:7], expected[:7], atol=1e-9)


@pytest.mark.release
@pytest.mark.parametrize(
    ("epsilon", "rho"),
    [
        (0.1, None),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(0.01, None), (0.1, 0.5), (0.01, 0.5)]
        ),
    ],
)
def test_it_finds_the_same_plan_in_fewer_iterations(
    solve, make_problem, epsilon, rho
):
    problem = make_problem(40, 50, epsilon=epsilon, rho=rho)
    plain, fast = (
        solve(Sinkhorn(20000, 1e-9, is_fast), problem)
        for is_fast in (False, True)
    )
    assert fast.marginal_error < 1e-8
    assert_allclose(
        transport_plan(problem, fast), transport_plan(problem, plain), atol=1e-8
    )
    assert int(fast.num_iterations) < 0.7 * int(plain.num_iterations)


@pytest.mark.release
@pytest.mark.parametrize("epsilon", [0.1, 0.03, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_never_much_slower_where_it_cannot_help(solve, epsilon, seed):
    # Far clusters of unequal mass: the error stands still while potentials
    # walk, and a guess may lead back.
    rng = np.random.default_rng(seed)
    x = np.concatenate(
        [rng.normal(size=(20, 3)), 20 + rng.normal(size=(20, 3))]
    )
    y = np.concatenate(
        [rng.normal(size=(23, 3)), 20 + rng.normal(size=(17, 3))]
    )
    C = np.sum((x[:, None] - y) ** 2, axis=-1)
    weights = np.full(40, 1 / 40)
    problem = TransportProblem(C / C.mean(), weights, weights, epsilon)
    plain, fast = (
        solve(Sinkhorn(6000, 1e-3, is_fast), problem)
        for is_fast in (False, True)
    )
    assert int(fast.num_iterations) <= 1.5 * int(plain.num_iterations) + 3


@pytest.mark.release
def test_problems_of_a_batch_are_guessed_one_by_one(solve, make_problem):
    problem = make_problem(12, 14, epsilon=0.05, batch=(3,))
    together = solve(Sinkhorn(500, 1e-6), problem)
    for k in range(3):
        alone = TransportProblem(
            problem.C[k], problem.a[k], problem.b[k], problem.epsilon
        )
        solution = solve(Sinkhorn(500, 1e-6), alone)
        assert solution.num_iterations == together.num_iterations[k]
