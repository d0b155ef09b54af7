import numpy as np
import pytest

from keras_otreg.data.builders import TEXTURES, textures

data = pytest.importorskip("skimage.data")


def test_every_photograph_gives_as_many_patches_to_each_part():
    for x, y in textures():
        assert x.shape == (96, 64, 64, 1)
        assert x.dtype == np.float32
        assert x.min() >= 0.0
        assert 0.9 < x.max() <= 1.0
        np.testing.assert_array_equal(np.bincount(y), [32] * 3)


def test_the_halves_of_a_photograph_are_kept_apart():
    train, test = textures()
    for label, name in enumerate(TEXTURES):
        photograph = getattr(data, name)() / np.float32(255)
        halves = photograph[:, :256], photograph[:, 256:]
        for part, half in zip((train, test), halves, strict=True):
            patches = part.x[part.y == label, ..., 0]
            rebuilt = patches.reshape(8, 4, 64, 64).swapaxes(1, 2)
            np.testing.assert_allclose(rebuilt.reshape(512, 256), half)
