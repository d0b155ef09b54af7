import keras
import numpy as np
import pytest

from keras_otreg.losses import LogitsDistillation


def test_the_value_by_hand():
    # At temperature 2 the odds of the teacher are 3 to 1, of the student even.
    teacher, student = np.array([[2 * np.log(3.0), 0.0]]), np.zeros((1, 2))
    divergence = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    loss = LogitsDistillation(2.0)
    np.testing.assert_allclose(
        loss(teacher, student), 4 * divergence, rtol=1e-6
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_the_divergence_of_keras_of_softened_predictions(
    rng, temperature
):
    teacher, student = rng.normal(size=(2, 6, 5))
    softened = [keras.ops.softmax(z / temperature) for z in (teacher, student)]
    expected = keras.losses.KLDivergence()(*softened)
    np.testing.assert_allclose(
        LogitsDistillation(temperature)(teacher, student),
        temperature**2 * expected,
        rtol=1e-4,
    )


def test_a_high_temperature_compares_centred_logits(rng):
    # Hinton, Vinyals and Dean, section 2.1: half the mean square.
    teacher, student = rng.normal(size=(2, 6, 5))
    centred = [z - z.mean(axis=1, keepdims=True) for z in (teacher, student)]
    expected = 0.5 * ((centred[0] - centred[1]) ** 2).mean()
    loss = LogitsDistillation(1e4, dtype="float64")
    np.testing.assert_allclose(loss(teacher, student), expected, rtol=1e-3)


@pytest.mark.parametrize("side", [(False, False), (False, True), (True, False)])
def test_probabilities_are_taken_as_well_as_logits(rng, side):
    logits = rng.normal(scale=5.0, size=(2, 6, 5))
    given = [
        z if is_logits else keras.ops.softmax(z)
        for z, is_logits in zip(logits, side, strict=True)
    ]
    expected = LogitsDistillation(dtype="float64")(*logits)
    loss = LogitsDistillation(from_logits=side, dtype="float64")
    np.testing.assert_allclose(loss(*given), expected)


def test_certain_predictions_have_finite_values_and_gradients(
    value_and_gradient,
):
    teacher, student = np.eye(3, dtype="float32")[[[0, 1], [1, 1]]]
    loss = LogitsDistillation(from_logits=False)
    value, gradient = value_and_gradient(loss)(teacher, student)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_positions_are_averaged(rng):
    teacher, student = rng.normal(size=(2, 6, 3, 5))
    loss = LogitsDistillation(dtype="float64")
    expected = np.mean([loss(teacher[:, k], student[:, k]) for k in range(3)])
    np.testing.assert_allclose(loss(teacher, student), expected)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match=r"\(7, 3\).*\(7, 4\).*ClassTransport"):
        LogitsDistillation()(np.ones((7, 3)), np.ones((7, 4)))


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan, "4", None, True])
def test_a_wrong_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match=r"`temperature`.*Received"):
        LogitsDistillation(temperature)


@pytest.mark.parametrize("flags", ["yes", [True], (True, 1)])
def test_a_wrong_flag_is_refused(flags):
    with pytest.raises(ValueError, match=r"`from_logits`.*Received"):
        LogitsDistillation(from_logits=flags)
