import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_otreg.data import paired

LABELS = np.repeat(["a", "b", "c", "d"], [3, 9, 4, 14])
SHARES = np.array([0.5, 0.0, 0.2, 0.3])


@pytest.fixture
def target(rng):
    return rng.normal(size=(400, 2)).astype("float32"), np.zeros(400)


@pytest.fixture
def source(rng):
    numbers = np.arange(len(LABELS))
    x = np.stack([numbers, numbers], axis=1).astype("float32")
    return x, np.unique(LABELS, return_inverse=True)[1]


def drawn(data):
    """Numbers of the source samples of an epoch, and their labels."""
    pairs = [(s[:, 0].numpy(), y.numpy()) for (_, s), (_, y) in data]
    return [np.concatenate(x) for x in zip(*pairs, strict=True)]


def frequencies(data):
    return np.bincount(drawn(data)[1], minlength=4) / len(drawn(data)[1])


def test_drawn_frequencies_are_the_shares(target, source):
    data = paired(
        target,
        source,
        batch_size=40,
        source_batch_size=1000,
        source_shares=7.0 * SHARES,
    )
    numbers, labels = drawn(data)
    found = np.bincount(labels, minlength=4) / 10_000
    # Four standard errors of a share of one half.
    np.testing.assert_allclose(found, SHARES, atol=0.02)
    assert found[1] == 0.0
    # Samples of one class are alike, and stay with their labels.
    of_a = np.bincount(numbers.astype(int))[:3] / 10_000
    np.testing.assert_allclose(of_a, 0.5 / 3, atol=0.02)
    np.testing.assert_array_equal(labels, source[1][numbers.astype(int)])


def test_permuted_classes_are_drawn_as_often(target, source):
    order = np.array([2, 0, 3, 1])
    options = {"batch_size": 40, "source_batch_size": 500}
    permuted = source[0], order[source[1]]
    shares = np.empty(4)
    shares[order] = SHARES
    found = frequencies(
        paired(target, permuted, source_shares=shares, **options)
    )
    np.testing.assert_allclose(found[order], SHARES, atol=0.03)


def test_one_hot_labels_and_sample_weights_are_drawn_too(target, source):
    weighted = (*target, np.ones(400))
    x, y = source
    rows = x, np.eye(4)[y], 2.0 * np.ones(len(y))
    data = paired(weighted, rows, batch_size=400, source_shares=[0, 1, 0, 0])
    ((_, xs), (_, ys), (_, ws)) = next(iter(data))
    assert xs.shape == (400, 2)
    np.testing.assert_array_equal(np.argmax(ys, axis=1), 1)
    np.testing.assert_array_equal(ws, 2.0)


def test_a_function_is_asked_in_each_epoch(target, source):
    asked = iter(np.eye(4)[[3, 0, 2]])
    data = paired(
        target, source, batch_size=100, source_shares=lambda: next(asked)
    )
    for expected in (3, 0, 2):
        assert set(drawn(data)[1]) == {expected}


def test_each_epoch_has_its_own_draw_and_a_seed_repeats_it(target, source):
    data, again, other = (
        paired(target, source, source_shares=SHARES, seed=seed)
        for seed in (1, 1, 2)
    )
    first, second = drawn(data)[0], drawn(data)[0]
    np.testing.assert_array_equal(first, drawn(again)[0])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, drawn(other)[0])


@pytest.mark.parametrize("wrong", [[1, 1, 1], [1, -1, 1, 1], [0, 0, 0, 0]])
def test_shares_of_other_classes_are_refused(target, source, wrong):
    with pytest.raises(ValueError, match="shares of 4 classes"):
        paired(target, source, source_shares=wrong)


def test_batches_cannot_be_drawn_from(target, source):
    batches = tf.data.Dataset.from_tensor_slices(source).batch(4)
    for wrong in (batches, keras.utils.PyDataset()):
        with pytest.raises(ValueError, match=r"arrays \(x, y\)"):
            paired(target, wrong, source_shares=SHARES)
