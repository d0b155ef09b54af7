"""Gradients of the transport loss: right, and finite everywhere."""

import numpy as np
import pytest

from keras_otreg import losses, ot
from keras_otreg.losses.representation_transport import CONTROLS
from keras_otreg.ot.costs import COSTS

Transport = losses.RepresentationTransport


def difference(run, teacher, student, direction, step=1e-5):
    """The slope of a loss along a direction, by central differences."""
    ahead, _ = run(teacher, student + step * direction)
    behind, _ = run(teacher, student - step * direction)
    return (ahead - behind) / (2 * step)


@pytest.mark.release
@pytest.mark.parametrize(
    ("cost", "spatial"),
    [
        ("euclidean", "keep"),
        ("cosine", "pool"),
    ],
)
@pytest.mark.float64
def test_the_gradient_is_that_of_finite_differences(
    pair, rng, smooth, compiled, value_and_gradient, cost, spatial
):
    teacher, student = pair(4, 4, inner=(2,))
    run = value_and_gradient(smooth(cost, 0.002, spatial=spatial))
    run = compiled(run)
    _, gradient = run(teacher, student)
    direction = rng.normal(size=student.shape)
    slope = difference(run, teacher, student, direction)
    np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["identity", "uniform", "random"])
@pytest.mark.float64
def test_the_gradient_of_a_control_is_that_of_finite_differences(
    pair, rng, smooth, value_and_gradient, plan
):
    teacher, student = pair()
    run = value_and_gradient(smooth(plan=plan))
    _, gradient = run(teacher, student)
    direction = rng.normal(size=student.shape)
    slope = difference(run, teacher, student, direction)
    np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-6)


def test_a_factor_scales_the_gradient(pair, value_and_gradient):
    teacher, student = pair(5, 6)
    loss = Transport(solver=ot.Sinkhorn(3))
    _, once = value_and_gradient(loss)(teacher, student)
    _, tenfold = value_and_gradient(loss, 10.0)(teacher, student)
    np.testing.assert_allclose(tenfold, 10.0 * once, rtol=1e-5)


@pytest.mark.release
def test_the_teacher_is_a_set_like_the_other(pair, smooth, value_and_gradients):
    features = pair(5, 6)
    run = value_and_gradients(smooth())
    _, forward = run(*features)
    _, backward = run(*features[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


HARD = {
    "the student is the teacher": lambda x: (x, x),
    "a permuted copy": lambda x: (x, x[:, ::-1]),
    "all features are zero": lambda x: (0 * x, 0 * x),
    "the student is dead": lambda x: (x, 0 * x),
    "the teacher is dead": lambda x: (0 * x, x),
    "one dead neuron": lambda x: (x, x * (np.arange(5) > 0)),
    "features are constant": lambda x: (0 * x + 1, 0 * x + 2),
    "one sample": lambda x: (x[:1], 2 * x[:1]),
    "one teacher neuron": lambda x: (x[:, :1], x),
    "one student neuron": lambda x: (x, x[:, :1]),
    "one neuron a side": lambda x: (x[:, :1], x[:, 1:2]),
    "duplicated neurons": lambda x: (x[:, [0, 0, 1]], x[:, [1, 1, 0, 0]]),
    "large features": lambda x: (1e4 * x, 1e4 * x[:, ::-1] + 1),
    "small features": lambda x: (1e-4 * x, 2e-4 * x),
    "a far student": lambda x: (x, 1e4 + x),
}


@pytest.mark.release
@pytest.mark.parametrize(
    ("case", "cost"),
    [(x, cost) for k, cost in enumerate(COSTS) for x in [*HARD][k % 2 :: 2]],
)
def test_value_and_gradient_are_finite_where(
    pair, value_and_gradient, case, cost
):
    features, _ = pair()
    teacher, student = (x.astype("float32") for x in HARD[case](features))
    run = value_and_gradient(Transport(cost, 0.3))
    value, gradient = run(teacher, student)
    assert np.isfinite(value)
    assert value >= 0.0
    assert np.isfinite(gradient).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver", [ot.Sinkhorn(30), ot.ProximalPoint(max_iterations=30)]
)
def test_it_is_finite_with_every_solver(pair, value_and_gradient, solver):
    teacher, student = HARD["the student is the teacher"](pair()[0])
    loss = Transport(epsilon=1e-3, solver=solver)
    value, gradient = value_and_gradient(loss)(teacher, student)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["transport", *CONTROLS])
def test_it_starts_from_rest_at_the_teacher(pair, value_and_gradient, plan):
    teacher, _ = pair(6)
    loss = Transport(epsilon=0.01, plan=plan)
    value, gradient = value_and_gradient(loss)(teacher, teacher)
    assert np.isfinite(gradient).all()
    if plan in ("transport", "identity"):
        assert value < 1e-4
        assert np.abs(gradient).max() < 1e-2


@pytest.mark.release
def test_following_the_gradient_brings_the_student_to_the_teacher(
    pair, compiled, value_and_gradient
):
    teacher, student = pair(4, 4)
    run = compiled(value_and_gradient(Transport("squared_euclidean", 0.02)))
    first, _ = run(teacher, student)
    for _ in range(60):
        value, gradient = run(teacher, student)
        student = student - 2.0 * gradient
    assert value < 0.05 * first
