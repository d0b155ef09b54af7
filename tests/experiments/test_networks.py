import numpy as np

from keras_otreg.experiments.networks import distorted


def test_a_distorted_image_keeps_its_range_and_about_its_place(rng):
    images = np.zeros((50, 28, 28, 1), "float32")
    images[:, 12:16, 12:16] = 1.0
    found = distorted(images, rng)
    assert found.shape == images.shape
    assert found.min() >= 0.0
    assert found.max() <= 1.0 + 1e-6
    weights = found[..., 0] / found.sum(axis=(1, 2, 3))[:, None, None]
    for axis in (1, 2):
        middles = (weights.sum(axis=3 - axis) * np.arange(28)).sum(axis=1)
        assert np.all(np.abs(middles - 13.5) < 4.0)
        assert np.std(middles) > 0.3


def test_a_digit_is_mostly_enlarged(rng):
    images = np.zeros((50, 28, 28, 1), "float32")
    images[:, 10:18, 10:18] = 1.0
    growth = distorted(images, rng).sum(axis=(1, 2, 3)) / 64.0
    assert 1.2 < growth.mean() < 1.7
    assert growth.min() > 0.7
