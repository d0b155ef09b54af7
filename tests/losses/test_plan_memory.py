"""What a plan keeps between steps: potentials, running costs."""

import functools
import gc
import weakref

import keras
import numpy as np
import pytest

from keras_otreg.losses import RepresentationTransport
from keras_otreg.ot import ProximalPoint, Sinkhorn

assert_allclose = np.testing.assert_allclose
SHAPES = (None, 5), (None, 4)


@pytest.fixture
def activations(rng):
    def make():
        teacher, student = rng.normal(size=(8, 5)), rng.normal(size=(8, 4))
        return teacher.astype("float32"), student.astype("float32")

    return make


def _transport(**settings):
    settings.setdefault("solver", Sinkhorn(500, 1e-6, jit_compile=False))
    settings.setdefault("momentum", 0.0)
    return RepresentationTransport(**settings)


@pytest.mark.release
def test_without_momentum_the_value_is_that_of_the_loss(activations):
    loss = _transport()
    memory = loss.memory(*SHAPES)
    for _ in range(2):
        batch = activations()
        assert_allclose(loss(*batch, memory=memory), loss(*batch), rtol=1e-4)


@pytest.mark.slow
def test_the_next_solver_starts_from_the_last_potentials(activations):
    starts = []

    class Watched(Sinkhorn):
        def __call__(self, problem, init=None):
            starts.append(np.array(init[1]))
            return super().__call__(problem, init)

    loss = _transport(solver=Watched(jit_compile=False))
    memory = loss.memory(*SHAPES)
    for _ in range(2):
        loss(*activations(), memory=memory)
    assert_allclose(starts[0], 0.0)
    assert np.abs(starts[1]).max() > 1e-3
    assert np.abs(np.asarray(memory.g) - starts[1]).max() > 1e-3


@pytest.mark.release
def test_with_momentum_the_plan_is_that_of_the_mean_costs(activations):
    momentum, epsilon = 0.6, 0.1
    loss = _transport(momentum=momentum, epsilon=epsilon)
    memory = loss.memory(*SHAPES)
    total, weight = np.zeros((5, 4)), 0.0
    for _ in range(3):
        teacher, student = activations()
        C = np.linalg.norm(teacher.T[:, None] - student.T, axis=-1) / 8**0.5
        total = momentum * total + C / C.mean()
        weight = momentum * weight + 1.0
        value = loss(teacher, student, memory=memory)
    mean = total / weight
    plan = _plan_of(mean, epsilon)
    assert_allclose(value, np.sum(plan * C), rtol=1e-4)
    assert_allclose(memory.costs, mean, rtol=1e-5)


def _plan_of(C, epsilon):
    """Textbook Sinkhorn."""
    K = np.exp(-C / C.mean() / epsilon)
    v = np.ones(C.shape[1])
    for _ in range(5000):
        u = 1 / C.shape[0] / (K @ v)
        v = 1 / C.shape[1] / (K.T @ u)
    return u[:, None] * K * v


@pytest.mark.release
def test_a_step_that_is_not_finite_is_forgotten(activations):
    loss = _transport(momentum=0.5)
    memory = loss.memory(*SHAPES)
    loss(*activations(), memory=memory)
    before = [np.array(v) for v in memory.variables]
    teacher, student = activations()
    student[0, 0] = np.nan
    assert np.isnan(loss(teacher, student, memory=memory))
    for old, new in zip(before, memory.variables, strict=True):
        # Solved once more, from the costs of before: up to a constant in the
        # potentials, which changes nothing.
        new = np.array(new)
        constant = np.mean(new - old) if new.ndim == 1 else 0.0
        assert_allclose(new - constant, old, rtol=1e-5)


@pytest.mark.parametrize("plan", ["uniform", "random"])
def test_a_fixed_plan_has_nothing_to_remember(plan):
    assert _transport(plan=plan, momentum=0.5).memory(*SHAPES) is None


def test_proximal_point_walks_from_the_start_each_time(activations):
    loss = _transport(solver=ProximalPoint())
    assert loss.memory(*SHAPES) is None
    loss = _transport(solver=ProximalPoint(), momentum=0.5)
    memory = loss.memory(*SHAPES)
    assert [v.name for v in memory.variables] == ["costs", "steps"]
    assert np.isfinite(loss(*activations(), memory=memory))


def test_the_memory_has_no_trainable_weight():
    memory = _transport(momentum=0.5).memory(*SHAPES)
    assert not memory.trainable_variables
    assert {v.shape for v in memory.variables} == {(4,), (5, 4), ()}


@pytest.mark.parametrize("momentum", [-0.1, 1.0, "much", None])
def test_momentum_is_a_share(momentum):
    with pytest.raises(ValueError, match="`momentum`.*from 0 to below 1"):
        _transport(momentum=momentum)


def test_momentum_is_saved():
    loss = _transport(momentum=0.25)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.momentum == 0.25


@pytest.mark.release
@pytest.mark.tensorflow
@pytest.mark.compiled
def test_the_graph_of_a_training_is_not_kept(activations):
    import tensorflow as tf

    def trained():
        loss = RepresentationTransport()
        own = functools.partial(loss, memory=loss.memory(*SHAPES))

        def step(teacher, student):
            with tf.GradientTape() as tape:
                tape.watch(student)
                value = own(teacher, student)
            return tape.gradient(value, student)

        traced = tf.function(step).get_concrete_function(*activations())
        assert np.isfinite(traced(*map(tf.constant, activations()))).all()
        return weakref.ref(traced.graph)

    # The second training finds nothing of the first one, whose memory is gone.
    for _ in range(2):
        graph = trained()
        gc.collect()
        assert graph() is None
