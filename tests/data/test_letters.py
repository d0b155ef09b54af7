import numpy as np
import pytest

from keras_otreg.data.builders import LETTERS, letters


@pytest.fixture(scope="module")
def drawn():
    return letters(copies=1)


def test_every_letter_is_there_in_every_font(drawn):
    counts = np.bincount(drawn.y)
    assert len(counts) == len(LETTERS) == 52
    assert counts.min() == counts.max() >= 15


def test_letters_look_like_mnist(drawn):
    x, y = drawn
    assert x.shape == (len(y), 28, 28, 1)
    assert x.dtype == np.float32
    assert x.min() == 0.0
    assert x.max() == 1.0
    ink = x.mean(axis=(1, 2, 3))
    assert np.all((ink > 0.01) & (ink < 0.5))


@pytest.mark.slow
def test_no_two_letters_are_the_same_picture(drawn):
    assert len(np.unique(drawn.x, axis=0)) == len(drawn.x)


@pytest.mark.slow
def test_a_seed_gives_the_same_letters(drawn):
    np.testing.assert_array_equal(drawn.x, letters(copies=1).x)
    assert not np.array_equal(drawn.x, letters(copies=1, seed=1).x)
