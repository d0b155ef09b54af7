import numpy as np
import pytest

from keras_otreg.losses import AttentionTransfer


def test_the_value_by_hand():
    # Attention of the teacher: mean squares (4, 3), of norm 5; the student's
    # only activity is at its second position.
    teacher = np.array([[[2.0, 2.0], [1.0, 5.0**0.5]]])
    student = np.array([[[0.0], [3.0]]])
    expected = (0.8**2 + (0.6 - 1.0) ** 2) / 2
    np.testing.assert_allclose(
        AttentionTransfer()(teacher, student), expected, rtol=1e-6
    )


def test_it_is_the_authors_formula(rng):
    teacher, student = (
        rng.normal(size=(5, 3, 4, 6)),
        rng.normal(size=(5, 3, 4, 2)),
    )

    def attention(maps):
        vectors = (maps**2).mean(axis=-1).reshape(len(maps), -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    expected = ((attention(teacher) - attention(student)) ** 2).mean()
    loss = AttentionTransfer(dtype="float64")
    np.testing.assert_allclose(loss(teacher, student), expected)


def test_the_strength_and_the_sign_of_activations_do_not_matter(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4))
    loss = AttentionTransfer(dtype="float64")
    np.testing.assert_allclose(
        loss(teacher, -7.0 * student), loss(teacher, student)
    )


def test_the_order_of_channels_does_not_matter_that_of_positions_does(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4))
    loss = AttentionTransfer(dtype="float64")
    value = float(loss(teacher, student))
    turned = loss(teacher, student[..., ::-1])
    np.testing.assert_allclose(turned, value, rtol=1e-6)
    assert abs(float(loss(teacher, student[:, ::-1])) - value) > 1e-3


def test_unequal_maps_are_averaged_to_the_smaller(rng):
    teacher, student = (
        rng.normal(size=(5, 4, 6, 2)),
        rng.normal(size=(5, 2, 3, 7)),
    )
    pooled = teacher.reshape(5, 2, 2, 3, 2, 2).mean(axis=(2, 4))
    loss = AttentionTransfer()
    np.testing.assert_allclose(
        loss(teacher, student), loss(pooled, student), rtol=1e-5
    )


def test_activations_without_positions_are_refused():
    with pytest.raises(ValueError, match=r"positions.*\(7, 4\)"):
        AttentionTransfer()(np.ones((7, 4)), np.ones((7, 4)))
