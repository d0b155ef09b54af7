import numpy as np
import ot as pot
import pytest
from keras import ops

from keras_otreg.losses import CenteredKernelAlignment, TransportAlignment
from keras_otreg.ot import Sinkhorn

FEW = Sinkhorn(3, accelerated=False)


@pytest.fixture
def alignment():
    """Makes precise losses in float64."""

    def make(epsilon=0.3):
        solver = Sinkhorn(5000, 1e-11)
        return TransportAlignment(epsilon, solver=solver, dtype="float64")

    return make


@pytest.fixture
def layers(rng):
    """A teacher's and a student's activations, of unequal width."""
    teacher = np.maximum(rng.normal(size=(9, 6)), 0.0)
    return teacher, np.maximum(teacher @ rng.normal(size=(6, 4)), 0.0)


def similarity(x, y, epsilon):
    """One minus the entropic cost, by POT, of centred neurons."""
    a, b = (np.sum(z**2, axis=0) / np.sum(z**2) for z in (x, y))
    C = 1 - np.corrcoef(x.T, y.T)[: len(a), len(a) :] ** 2
    P = pot.sinkhorn(a, b, C, epsilon, method="sinkhorn_log", stopThr=1e-13)
    entropy = np.sum(P * np.log(P / np.outer(a, b)))
    return 1 - np.sum(P * C) - epsilon * entropy


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, 0.05, 2.0])
def test_the_value_is_made_of_transport_costs_of_pot(
    alignment, layers, epsilon
):
    x, y = (z - z.mean(axis=0) for z in layers)
    norm = similarity(x, x, epsilon) * similarity(y, y, epsilon)
    expected = 1 - similarity(x, y, epsilon) / np.sqrt(norm)
    value = alignment(epsilon)(*layers)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_a_large_epsilon_is_centred_kernel_alignment(alignment, layers):
    expected = CenteredKernelAlignment(dtype="float64")(*layers)
    value = alignment(1e4)(*layers)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_a_small_epsilon_is_the_share_of_variance_that_finds_a_partner(
    alignment,
):
    # Of two uncorrelated neurons, of variances 3 and 1, the student has one.
    one, two = np.array([[1, -1, 1, -1], [1, 1, -1, -1]], "float64")
    teacher = np.stack([np.sqrt(3) * one, two], axis=1)
    value = alignment(1e-3)(teacher, 5 - 2 * one[:, None])
    np.testing.assert_allclose(value, 1 - 3 / 4, atol=2e-3)


@pytest.mark.slow
def test_order_shift_sign_scale_and_silent_neurons_change_nothing(
    alignment, layers, rng
):
    teacher, student = layers
    loss = alignment()
    other = 7.0 * student[:, rng.permutation(4)] + rng.normal(size=4)
    other[:, 0] *= -1.0
    silent = np.pad(teacher, ((0, 0), (0, 3)), constant_values=0.7)
    np.testing.assert_allclose(
        loss(silent, other), loss(teacher, student), rtol=1e-7
    )
    assert abs(float(loss(student, other))) < 1e-8


@pytest.mark.slow
def test_it_is_symmetric_and_not_negative(alignment, rng):
    loss = alignment()
    for width in range(1, 8):
        x = rng.normal(size=(5, width)) * rng.exponential(size=width)
        y = rng.normal(size=(5, 8 - width))
        np.testing.assert_allclose(loss(x, y), loss(y, x), rtol=1e-7)
        assert 0.0 < float(loss(x, y)) <= 1.0


@pytest.mark.parametrize("side", [0, 1])
def test_a_layer_that_says_nothing_is_not_aligned(
    layers, side, value_and_gradients
):
    layers = [ops.convert_to_tensor(x) for x in layers]
    layers[side] = ops.ones_like(layers[side])
    value, gradients = value_and_gradients(TransportAlignment(solver=FEW))(
        *layers
    )
    assert float(value) == pytest.approx(1.0)
    for gradient in gradients:
        assert np.all(np.isfinite(np.array(gradient)))


def test_a_single_sample_says_nothing(layers, value_and_gradients):
    layers = [ops.convert_to_tensor(x[:1]) for x in layers]
    value, gradients = value_and_gradients(TransportAlignment(solver=FEW))(
        *layers
    )
    assert float(value) == 0.0
    for gradient in gradients:
        assert np.all(np.isfinite(np.array(gradient)))


@pytest.mark.slow
@pytest.mark.float64
def test_the_gradient_is_that_of_finite_differences(
    alignment, layers, rng, value_and_gradient
):
    teacher, student = layers
    loss, direction = alignment(), rng.normal(size=student.shape)
    _, gradient = value_and_gradient(loss)(teacher, student)
    slope = np.sum(np.array(gradient) * direction)
    ends = [loss(teacher, student + h * direction) for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-5)


def test_the_plan_has_the_variances_as_marginals(alignment, layers):
    P = np.array(alignment().plan(*layers))
    for axis, activations in ((1, layers[0]), (0, layers[1])):
        variance = activations.var(axis=0)
        expected = variance / variance.sum()
        np.testing.assert_allclose(P.sum(axis=axis), expected, atol=1e-9)


def test_layers_of_other_samples_are_refused(layers):
    teacher, student = layers
    with pytest.raises(ValueError, match="samples"):
        TransportAlignment()(teacher, student[:-1])
