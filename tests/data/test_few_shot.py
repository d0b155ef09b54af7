import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_otreg.data import few_shot

SIZES = (5, 3, 7)


@pytest.fixture
def pool(rng):
    y = rng.permutation(np.repeat([0, 1, 2], SIZES))
    return np.arange(len(y))[:, None], y


@pytest.mark.parametrize("per_class", [1, 2, 3])
def test_a_draw_has_equally_many_of_each_class(pool, per_class):
    (_, y), _ = few_shot(*pool, per_class)
    np.testing.assert_array_equal(np.bincount(y), [per_class] * 3)


def test_a_sample_is_drawn_or_held_out_and_keeps_its_label(pool):
    x, y = pool
    drawn, others = few_shot(x, y, 2, seed=3)
    both = np.concatenate([drawn.x, others.x])[:, 0]
    np.testing.assert_array_equal(np.sort(both), np.arange(len(y)))
    labels = np.concatenate([drawn.y, others.y])
    np.testing.assert_array_equal(labels, y[both])


def test_a_seed_says_which_samples_are_drawn(pool):
    draws = [few_shot(*pool, 2, seed)[0].x.ravel() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("per_class", [0, 4, 1.5, "2"])
def test_a_class_cannot_give_more_than_it_has(pool, per_class):
    with pytest.raises(ValueError, match="smallest class, 3 of 1. Received"):
        few_shot(*pool, per_class)


def test_every_sample_needs_a_label(pool):
    x, y = pool
    with pytest.raises(ValueError, match="a label for each sample"):
        few_shot(x, y[:-1], 1)


def test_arguments_may_be_named(pool):
    x, y = pool
    expected = few_shot(x, y, 2, 3)
    for found in (
        few_shot(x=x, y=y, per_class=2, seed=3),
        few_shot(x=(x, y), per_class=2, seed=3),
        few_shot((x, y), 2, 3),
        few_shot(x=as_batches(pool), per_class=2, seed=3),
    ):
        for pair, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(pair.x, other.x)
            np.testing.assert_array_equal(pair.y, other.y)


@pytest.mark.parametrize("dtype", [str, int, object, "datetime64[s]"])
def test_names_and_numbers_are_samples(pool, dtype):
    x, y = pool
    x = x.ravel().astype(dtype)
    drawn, others = few_shot(x, y, 2)
    assert drawn.x.shape == (6,)
    assert drawn.x.dtype == x.dtype
    assert set(drawn.x) | set(others.x) == set(x)


class Batches(keras.utils.PyDataset):
    """Five batches of three samples, of which each holds every class."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return np.full((3, 1), index), np.arange(3)


def as_samples(pool):
    return tf.data.Dataset.from_tensor_slices(pool)


def as_batches(pool):
    return as_samples(pool).batch(4)


def with_weights(pool):
    return as_samples((*pool, np.ones(len(pool[1])))).batch(4)


@pytest.mark.parametrize("form", [tuple, as_samples, as_batches, with_weights])
def test_a_data_set_gives_what_its_arrays_give(pool, form):
    expected = few_shot(*pool, 2, 3)
    found = few_shot(form(pool), 2, seed=3)
    for pair, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pair.x, other.x)
        np.testing.assert_array_equal(pair.y, other.y)


def test_few_of_a_py_dataset():
    drawn, others = few_shot(Batches(), 2)
    np.testing.assert_array_equal(np.bincount(drawn.y), [2] * 3)
    np.testing.assert_array_equal(np.bincount(others.y), [3] * 3)


def test_a_data_set_needs_labels_and_samples(pool):
    x, y = pool
    with pytest.raises(ValueError, match="few-shot batches"):
        few_shot(as_samples(x), 1)
    with pytest.raises(ValueError, match="at least one batch"):
        few_shot(as_batches(pool).take(0), 1)
    with pytest.raises(ValueError, match="few-shot data as a tuple"):
        few_shot((x, y[:-1]), 1)


def test_data_without_an_end_are_refused(pool):
    with pytest.raises(ValueError, match="Expected data whose passes end"):
        few_shot(as_batches(pool).repeat(), 1)


def test_one_hot_labels_are_refused_with_the_remedy(pool):
    x, y = pool
    with pytest.raises(ValueError, match=r"argmax.*\(9, 3\)"):
        few_shot(x[:9], np.eye(3)[np.arange(9) % 3], 1)
    drawn, _ = few_shot(x, np.asarray(y)[:, None], 1)
    assert len(drawn.y) == len(np.unique(y))


def test_labels_are_whole_numbers(pool):
    x, y = pool
    for wrong in (y * 1.5, np.where(y == 1, np.nan, y), y.astype(str)):
        with pytest.raises(
            ValueError, match="`y`.*whole numbers|labels.*not finite"
        ):
            few_shot(x, wrong, 1)
    for right in (y.astype("float32"), y > 0):
        drawn, _ = few_shot(x, right, 1)
        assert len(drawn.y) == len(np.unique(right))


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_a_seed_is_a_whole_number(pool, seed):
    with pytest.raises(ValueError, match="`seed`.*at least 0"):
        few_shot(*pool, 1, seed)
