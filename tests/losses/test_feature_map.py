import numpy as np
import pytest

from keras_otreg.losses import FeatureMap

# One sample, two positions, two channels: differences 1, 2 and 3, 0.
TEACHER = np.array([[[1.0, 5.0], [2.0, 7.0]]])
STUDENT = np.array([[[2.0, 8.0], [0.0, 7.0]]])


def test_without_attention_it_is_half_the_mean_over_positions_by_hand():
    # Channel 0: (1 + 4) / 2 positions; channel 1: (9 + 0) / 2.
    np.testing.assert_allclose(
        FeatureMap()(TEACHER, STUDENT), 0.5 * (2.5 + 4.5)
    )


def test_attention_counts_channels_by_hand():
    loss = FeatureMap([0.25, 0.75])
    expected = 0.5 * 2 * (0.25 * 2.5 + 0.75 * 4.5)
    np.testing.assert_allclose(loss(TEACHER, STUDENT), expected)


def test_it_is_the_authors_formula_over_the_batch_size(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4, 6))
    w = rng.dirichlet(np.ones(6))
    total = 0.0
    for i in range(5):
        for c in range(6):
            distance = np.linalg.norm(teacher[i, ..., c] - student[i, ..., c])
            total += 0.5 * 6 * w[c] * distance**2 / (3 * 4)
    loss = FeatureMap(w, dtype="float64")
    np.testing.assert_allclose(loss(teacher, student), total / 5)


def test_equal_channel_weights_are_none_at_all(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4))
    np.testing.assert_allclose(
        FeatureMap(np.full(4, 0.25))(teacher, student),
        FeatureMap()(teacher, student),
        rtol=1e-6,
    )


def test_unequal_maps_are_averaged_to_the_smaller(rng):
    teacher, student = (
        rng.normal(size=(5, 4, 6, 2)),
        rng.normal(size=(5, 2, 3, 2)),
    )
    pooled = teacher.reshape(5, 2, 2, 3, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(
        FeatureMap()(teacher, student), FeatureMap()(pooled, student), rtol=1e-5
    )


def test_unequal_channels_are_refused(rng):
    with pytest.raises(ValueError, match=r"\(7, 3\).*\(7, 4\).*Representation"):
        FeatureMap()(np.ones((7, 3)), np.ones((7, 4)))


@pytest.mark.parametrize(
    "bad",
    [[0.5, 0.6], [1.5, -0.5], [[0.5, 0.5]], [np.nan, 1.0], [], 1.0, "even"],
    ids=str,
)
def test_wrong_channel_weights_are_refused(bad):
    with pytest.raises(ValueError, match=r"`channel_weights`.*Received"):
        FeatureMap(bad)


def test_channel_weights_of_another_layer_are_refused():
    with pytest.raises(ValueError, match=r"`channel_weights`.*\(4,\).*\(2,\)"):
        FeatureMap([0.5, 0.5])(np.ones((7, 4)), np.ones((7, 4)))
