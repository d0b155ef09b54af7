import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_otreg.callbacks import SelfTraining
from keras_otreg.data import with_labels
from keras_otreg.labelling import from_probabilities


@pytest.fixture
def labels(rng):
    """Labels of 30 samples of 3 classes, of which 10 have a weight."""
    return from_probabilities(rng.dirichlet(np.full(3, 0.5), 30), sure=1 / 3)


@pytest.fixture
def samples(rng):
    """Labelled samples, whose first number is 1, and unlabelled ones."""
    x = rng.normal(size=(36, 4)).astype("float32")
    x[:, 0] = np.arange(36) < 6
    x[6:, 1] = np.arange(30) / 8
    return x[:6], np.arange(6) % 3, x[6:]


@pytest.mark.slow
def test_half_of_a_batch_is_labelled_and_the_others_have_a_weight(
    samples, labels
):
    x, y, more = samples
    data = list(with_labels((x, y), (more, labels), batch_size=8))
    found, targets, weight = map(np.concatenate, zip(*data, strict=True))
    own = found[:, 0] == 1.0
    assert own.sum() == 10
    np.testing.assert_array_equal(weight, 1.0)
    assert [len(batch[0]) for batch in data] == [8, 8, 4]
    # Each in its turn, with the label that it was given.
    numbers = (8 * found[~own, 1]).astype(int)
    assert sorted(numbers) == list(np.flatnonzero(labels.sample_weight))
    np.testing.assert_allclose(targets[~own], labels.probabilities[numbers])
    assert set(targets[own].argmax(axis=1)) == {0, 1, 2}
    np.testing.assert_array_equal(np.sort(targets[own], axis=1)[:, :2], 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("dtypes", [("uint8", "float32"), ("float64", "uint8")])
def test_bytes_and_numbers_are_joined_without_loss(samples, labels, dtypes):
    x, y, more = samples
    own, other = (
        data.astype(dtype)
        for data, dtype in zip((x, more), dtypes, strict=True)
    )
    found = next(iter(with_labels((own, y), (other, labels), batch_size=8)))[0]
    known = np.concatenate([own, other])
    assert all((known == row).all(axis=1).any() for row in found.numpy())


@pytest.mark.slow
def test_mass_and_weights_of_samples_count(samples, labels):
    x, y, more = samples
    data = with_labels(
        (x, y, np.full(6, 2.0)), (more, labels), batch_size=20, mass=0.5
    )
    ((found, _, weight),) = data
    own = found[:, 0] == 1.0
    np.testing.assert_array_equal(weight, np.where(own, 2.0, 0.5))


@pytest.mark.slow
def test_batches_are_joined_like_arrays(samples, labels):
    x, y, more = samples
    one_hot = keras.ops.one_hot(y, 3)
    known = tf.data.Dataset.from_tensor_slices((x, one_hot)).batch(4)
    others = tf.data.Dataset.from_tensor_slices(more).batch(7)
    for first in (known, (x, y)):
        found = list(with_labels(first, (others, labels), batch_size=20))
        ((_, targets, _),) = found
        expected = labels.probabilities[labels.sample_weight > 0.0]
        np.testing.assert_allclose(targets[10:], expected)


def model_of(labels):
    """A model that knows each sample by its number."""
    inputs = keras.Input((4,))
    table = keras.layers.Embedding(30, 3)
    index = keras.ops.cast(8 * inputs[:, 1], "int32")
    made = keras.Model(inputs, keras.ops.softmax(table(index)))
    table.set_weights([np.log(labels.probabilities + 1e-6)])
    return made


@pytest.mark.slow
def test_batches_in_another_order_than_their_labels_are_noticed(
    samples, labels
):
    from keras_otreg.labelling import transported_labels

    x, y, more = samples
    rows = tf.data.Dataset.from_tensor_slices(more)
    made = transported_labels(model_of(labels), rows.batch(8))
    assert len(list(with_labels((x, y), (rows.batch(5), made)))) == 1
    mixed = rows.shuffle(30, seed=1).batch(5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="order in which"):
        list(with_labels((x, y), (mixed, made)))


@pytest.mark.slow
def test_self_training_labels_in_rounds_and_keeps_what_is_best(samples):
    x, y, more = samples
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "softmax")]
    )
    model.compile(keras.optimizers.SGD(5.0), "categorical_crossentropy")
    before = model.get_weights()
    told = model.predict(more, verbose=0).argmax(axis=1)
    rounds = SelfTraining(
        more, rounds=2, sure=(0.2, 1.0), validation=(more, told)
    )
    data = with_labels((x, y), (more, rounds), batch_size=8)
    # A pass over all, however many have a weight.
    assert len(data) == 8
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: seen.append(rounds.labels)
    )
    # The labels of the validation are those of the start.
    model.fit(data, epochs=4, verbose=0, callbacks=[rounds, watch])
    assert seen[0] is seen[1]
    assert seen[2] is seen[3] is rounds.labels
    assert [int(x.sample_weight.sum()) for x in (seen[0], seen[2])] == [6, 30]
    assert rounds.scores[0] == 1.0 > rounds.scores[-1]
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_without_its_self_training_is_noticed(samples):
    x, y, more = samples
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "softmax")]
    )
    model.compile("sgd", "categorical_crossentropy")
    data = with_labels((x, y), (more, SelfTraining(more)), batch_size=8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="callbacks"):
        model.fit(data, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 29}, "29 samples and 30 labels"),
        ({"y": 3}, "labels from 0 to 2"),
        ({"known": True}, "weights that are all 0"),
        ({"pair": 1}, "x_unlabelled, labels"),
    ],
)
def test_what_does_not_fit_is_refused(samples, labels, change, message):
    x, y, more = samples
    if "known" in change:
        labels = from_probabilities(np.full((30, 3), 1 / 3))
    unlabelled = more[: change.get("more")], labels
    with pytest.raises(ValueError, match=message):
        with_labels(
            (x, y + change.get("y", 0)), unlabelled[change.get("pair", 0) :]
        )
