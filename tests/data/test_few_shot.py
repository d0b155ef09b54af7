import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="smallest class, 3. Received"):
        few_shot(*pool, per_class)


def test_every_sample_needs_a_label(pool):
    x, y = pool
    with pytest.raises(ValueError, match="a label for each sample"):
        few_shot(x, y[:-1], 1)
