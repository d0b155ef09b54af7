import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_otreg.data import paired


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return np.full((4, 3), index, "float32"), np.full(4, index)


@pytest.fixture
def target(rng):
    return rng.normal(size=(20, 3)).astype("float32"), np.arange(20)


@pytest.fixture
def source(rng):
    return rng.normal(size=(50, 3)).astype("float32"), np.arange(50)


def labels(data):
    """All target labels of one epoch, and all source labels."""
    batches = [(t.numpy(), s.numpy()) for _, (t, s) in data]
    return [np.concatenate(side) for side in zip(*batches, strict=True)]


def test_an_epoch_is_one_pass_over_the_target(target, source):
    data = paired(target, source, batch_size=8, source_batch_size=10)
    assert len(data) == 3
    found, others = labels(data)
    np.testing.assert_array_equal(np.sort(found), np.arange(20))
    assert len(others) == 30
    assert len(set(others)) == 30


def test_a_shorter_source_repeats_in_full_batches_and_in_new_order(
    target, source
):
    small = (source[0][:7], source[1][:7])
    data = paired(target, small, batch_size=4, source_batch_size=7)
    rounds = labels(data)[1].reshape(5, 7)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [np.arange(7)] * 5)
    assert len({tuple(order) for order in rounds}) > 1


def test_each_epoch_has_its_own_order_and_each_seed_its_own(target, source):
    data = paired(target, source, batch_size=8, seed=1)
    again = paired(target, source, batch_size=8, seed=1)
    first, second = labels(data), labels(data)
    np.testing.assert_array_equal(first[0], labels(again)[0])
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])


def test_inputs_stay_with_their_labels(target, source):
    for (x, xs), (y, ys) in paired(target, source, batch_size=8):
        np.testing.assert_array_equal(x, target[0][y.numpy()])
        np.testing.assert_array_equal(xs, source[0][ys.numpy()])


def test_batched_data_sets_are_taken_as_they_are(target):
    batched = tf.data.Dataset.from_tensor_slices(target).batch(6)
    data = paired(batched, Batches())
    found, others = labels(data)
    np.testing.assert_array_equal(found, np.arange(20))
    assert len(others) == 16
    assert len(data) == 4


def test_a_py_dataset_can_be_the_target(source):
    data = paired(Batches(), source, source_batch_size=9)
    assert len(data) == 5
    assert sorted(labels(data)[0]) == sorted(np.repeat(np.arange(5), 4))


def test_sample_weights_come_in_pairs(target, source):
    data = paired((*target, np.ones(20)), (*source, np.ones(50)), batch_size=4)
    _, _, (weights, others) = next(iter(data))
    assert weights.shape == others.shape == (4,)


def test_wrong_arguments_say_what_is_expected(target, source):
    narrow = (source[0][:, :2], source[1])
    with pytest.raises(ValueError, match=r"one shape.*target \(3,\).*\(2,\)"):
        paired(target, narrow)
    with pytest.raises(ValueError, match="sample weights for both"):
        paired(target, (*source, np.ones(50)))
    with pytest.raises(ValueError, match=r"lengths \[3, 20\]"):
        paired((target[0], target[1][:3]), source)
    with pytest.raises(ValueError, match="no batch size for the source"):
        paired(target, Batches(), source_batch_size=3)
    with pytest.raises(ValueError, match="source data as a tuple"):
        paired(target, source[0])
    with pytest.raises(ValueError, match="`source_batch_size`.*at least 1"):
        paired(target, source, source_batch_size=0)


def test_several_inputs_may_come_as_a_list(target, source):
    (x, y), (xs, ys) = target, source
    data = paired(([x, x + 1.0], y), ([xs, xs + 1.0], ys), batch_size=8)
    for (own, others), (labels, _) in data:
        np.testing.assert_array_equal(own[0], x[labels.numpy()])
        np.testing.assert_array_equal(own[1], x[labels.numpy()] + 1.0)
        assert len(others) == 2


def test_batches_of_several_inputs_may_hold_a_list(source):
    class Lists(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            x = np.full((4, 3), index, "float32")
            return [x, x], np.arange(4)

    (xs, ys) = source
    data = paired(Lists(), ([xs, xs], ys), source_batch_size=4)
    ((first, second), _), _ = next(iter(data))
    np.testing.assert_array_equal(first, second)
