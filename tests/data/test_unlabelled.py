import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_otreg as otreg
from keras_otreg.data import few_shot, paired, with_unlabelled
from keras_otreg.models import parts
from keras_otreg.models.parts import split


class Inputs(keras.utils.PyDataset):
    """Unlabelled batches."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.full((4, 3), index, "float32")


@pytest.fixture
def labelled(rng):
    return rng.normal(size=(20, 3)).astype("float32"), np.arange(20) % 2


@pytest.fixture
def others():
    """Each sample is its own number."""
    return np.repeat(np.arange(50, dtype="float32")[:, None], 3, axis=1)


@pytest.fixture
def make_model():
    """A student under one penalty, with a source task if wanted."""

    def make(source_task=None):
        inputs = keras.Input((3,))
        x = keras.layers.Dense(5, activation="relu", name="features")(inputs)
        x = keras.layers.Dense(2, activation="softmax")(x)
        model = otreg.TransferModel(
            keras.Model(inputs, x),
            penalties=[
                otreg.Penalty(
                    otreg.losses.RepresentationTransport(), "features"
                )
            ],
            source_task=source_task,
        )
        model.compile(
            "adam",
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=[
                keras.metrics.SparseCategoricalCrossentropy("weighted")
            ],
        )
        return model

    return make


def unlabelled_rows(data):
    """The unlabelled samples of one epoch, by their numbers."""
    steps = [parts.split(x).unlabelled.numpy() for x, *_ in data]
    return np.concatenate(steps)[:, 0]


def test_an_epoch_is_one_pass_over_the_labelled(labelled, others):
    data = with_unlabelled(
        labelled, others, batch_size=8, unlabelled_batch_size=10
    )
    assert len(data) == 3
    y = np.concatenate([y for _, y in data])
    np.testing.assert_array_equal(np.sort(y), np.sort(labelled[1]))
    rows = unlabelled_rows(data)
    assert len(rows) == len(set(rows)) == 30


def test_inputs_stay_with_their_labels(labelled, others):
    x, y = labelled
    for inputs, label in with_unlabelled(labelled, others, batch_size=1):
        found = parts.split(inputs).target.numpy()[0]
        (row,) = np.flatnonzero((x == found).all(axis=1))
        assert y[row] == label.numpy()[0]


def test_fewer_unlabelled_samples_repeat_in_new_order(labelled, others):
    data = with_unlabelled(
        labelled, others[:7], batch_size=4, unlabelled_batch_size=7
    )
    rounds = unlabelled_rows(data).reshape(5, 7)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [np.arange(7)] * 5)
    assert len({tuple(order) for order in rounds}) > 1


def test_each_epoch_has_its_own_order_and_each_seed_its_own(labelled, others):
    first, again, other = (
        unlabelled_rows(with_unlabelled(labelled, others, seed=seed))
        for seed in (1, 1, 2)
    )
    data = with_unlabelled(labelled, others, seed=1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(unlabelled_rows(data), unlabelled_rows(data))


@pytest.mark.parametrize("labels", [False, True])
def test_labels_of_the_unlabelled_are_left_out(labelled, others, labels):
    more = (others, np.zeros(50)) if labels else others
    batched = tf.data.Dataset.from_tensor_slices(more).batch(6)
    steps = [
        next(iter(with_unlabelled(labelled, data, unlabelled_batch_size=size)))
        for data, size in ((more, 6), (batched, None))
    ]
    for step in steps:
        assert len(step) == 2
        assert parts.split(step[0]).unlabelled.shape == (6, 3)


def test_a_py_dataset_can_be_unlabelled(labelled):
    rows = unlabelled_rows(with_unlabelled(labelled, Inputs(), batch_size=5))
    counts = np.bincount(rows.astype(int))
    assert sorted(counts) == [4, 4, 8]


def test_data_of_unknown_length_can_be_labelled(labelled, others):
    batched = tf.data.Dataset.from_tensor_slices(labelled).batch(4)
    some = batched.filter(lambda x, y: tf.reduce_all(y >= 0))
    assert sum(1 for _ in with_unlabelled(some, others)) == 5


def test_inputs_may_be_nested(labelled, others):
    known = ({"a": labelled[0], "b": labelled[0]}, labelled[1])
    data = with_unlabelled(known, {"a": others, "b": others}, batch_size=4)
    x, _ = next(iter(data))
    assert parts.split(x).unlabelled["b"].shape == (4, 3)


def test_few_labels_and_what_is_left_go_together(labelled):
    data = with_unlabelled(
        *few_shot(labelled, 2), batch_size=4, unlabelled_batch_size=16
    )
    ((x, y),) = data
    parts = split(x)
    np.testing.assert_array_equal(np.bincount(y), [2, 2])
    both = np.concatenate([parts.target, parts.unlabelled])
    np.testing.assert_array_equal(
        np.sort(both, axis=0), np.sort(labelled[0], axis=0)
    )


@pytest.mark.slow
def test_a_model_learns_from_both_and_is_judged_on_labels(
    make_model, labelled, others
):
    model = make_model()
    data = with_unlabelled(labelled, others / 50, batch_size=5)
    logs = model.fit(data, epochs=2, validation_data=labelled, verbose=0)
    history = logs.history
    assert set(history) >= {"accuracy", "representation_transport"}
    assert history["representation_transport"][-1] > 0.0
    assert np.isfinite(history["val_loss"]).all()
    # The same labelled samples, whatever is beside them.
    alone = model.evaluate(*labelled, verbose=0, return_dict=True)
    both = model.evaluate(data, verbose=0, return_dict=True)
    assert both["accuracy"] == pytest.approx(alone["accuracy"])
    transport = "representation_transport"
    assert both[transport] != pytest.approx(alone[transport])


@pytest.mark.slow
def test_sample_weights_are_those_of_the_labelled(make_model, labelled, others):
    weights = np.r_[np.ones(10), np.zeros(10)]
    data = with_unlabelled((*labelled, weights), others, batch_size=20)
    _, y, found = next(iter(data))
    assert found.shape == y.shape == (20,)
    model = make_model()
    logs = model.evaluate(data, verbose=0, return_dict=True)
    x, y = labelled
    half = model.evaluate(x[:10], y[:10], verbose=0, return_dict=True)
    assert logs["weighted"] == pytest.approx(half["weighted"], rel=1e-5)


@pytest.mark.slow
def test_joint_training_takes_unlabelled_target_samples(
    make_model, labelled, others
):
    head = keras.layers.Dense(4, activation="softmax")
    task = otreg.SourceTask(
        head, at="features", loss="sparse_categorical_crossentropy"
    )
    target = with_unlabelled(
        labelled, others / 50, batch_size=5, unlabelled_batch_size=7
    )
    source = (others / 50, np.arange(50) % 4)
    data = paired(target, source, source_batch_size=6)
    (x, x_source), (y, y_source) = next(iter(data))
    parts = split(x)._replace(source=x_source)
    assert [len(part) for part in parts[:3]] == [5, 7, 6]
    assert len(y) == 5
    assert len(y_source) == 6
    history = make_model(task).fit(data, verbose=0).history
    assert len(data) == 4
    assert {"source_loss", "representation_transport"} <= set(history)


def test_wrong_arguments_say_what_is_expected(labelled, others):
    with pytest.raises(ValueError, match=r"labelled \(3,\), unlabelled \(2,\)"):
        with_unlabelled(labelled, others[:, :2])
    with pytest.raises(ValueError, match="labelled batches"):
        with_unlabelled((labelled[0],), others)
    with pytest.raises(ValueError, match="labelled data as a tuple"):
        with_unlabelled(labelled[0], others)
    with pytest.raises(ValueError, match="no batch size for the unlabelled"):
        with_unlabelled(labelled, Inputs(), unlabelled_batch_size=3)
    with pytest.raises(ValueError, match=r"unlabelled data.*lengths \[0\]"):
        with_unlabelled(labelled, others[:0])
    with pytest.raises(ValueError, match="unlabelled data.*NoneType"):
        with_unlabelled(labelled, None)
    with pytest.raises(ValueError, match="unlabelled data.*lengths"):
        with_unlabelled(labelled, np.float32(3.0))


@pytest.mark.parametrize("name", ["batch_size", "unlabelled_batch_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "a", True])
def test_a_batch_size_is_a_whole_number_above_zero(
    labelled, others, name, value
):
    with pytest.raises(ValueError, match=f"`{name}`.*at least 1"):
        with_unlabelled(labelled, others, **{name: value})


@pytest.mark.parametrize("value", [1.5, "a", None, -1])
def test_a_seed_is_a_whole_number(labelled, others, value):
    with pytest.raises(ValueError, match="`seed`.*at least 0"):
        with_unlabelled(labelled, others, seed=value)
    with pytest.raises(ValueError, match="`seed`.*at least 0"):
        paired(labelled, labelled, seed=value)


def sequences(sizes):
    """Batches of two sequences, of a length that none knows before."""
    return tf.data.Dataset.from_generator(
        lambda: (np.ones((2, size, 3), "float32") for size in sizes),
        output_signature=tf.TensorSpec((2, None, 3)),
    )


@pytest.fixture
def make_pooling_model():
    """A model of sequences of any length, with or without a source task."""

    def make(source_task=None):
        inputs = keras.Input((None, 3))
        x = keras.layers.GlobalAveragePooling1D(name="features")(inputs)
        student = keras.Model(inputs, keras.layers.Dense(2)(x))
        model = otreg.TransferModel(student, source_task=source_task)
        model.compile("sgd", "mse")
        return model

    return make


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_batches_of_other_lengths_are_refused_in_training(make_pooling_model):
    labelled = sequences([4, 5]).map(lambda x: (x, tf.zeros((2, 2))))
    make_pooling_model().fit(
        with_unlabelled(labelled, sequences([4, 5])), verbose=0
    )
    message = (
        r"(?s)Expected labelled and unlabelled inputs of one shape.*"
        r"padded_shapes.*\[5 3\].*\[6 3\]"
    )
    data = with_unlabelled(labelled, sequences([4, 6]))
    with pytest.raises(ValueError, match=message):
        make_pooling_model().fit(data, verbose=0)
    task = otreg.SourceTask(keras.layers.Dense(2), "features", "mse")
    data = paired(labelled, labelled.skip(1))
    with pytest.raises(ValueError, match="Expected target and source inputs"):
        make_pooling_model(task).fit(data, verbose=0)


class Unweighted(keras.utils.PyDataset):
    """Labelled batches with weights that are not there."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return [np.full((4, 3), index, "float32"), np.arange(4) % 2, None]


@pytest.mark.slow
def test_weights_that_are_none_are_no_weights(labelled, others):
    batched = tf.data.Dataset.from_tensor_slices(labelled).batch(4)
    for data in (
        Unweighted(),
        (*labelled, None),
        batched.map(lambda x, y: (x, y, None)),
    ):
        for joined in (
            with_unlabelled(data, others),
            with_unlabelled(labelled, data),
            paired(data, labelled),
            paired(labelled, data),
        ):
            dtypes = {x.dtype for x in keras.tree.flatten(joined.element_spec)}
            assert len(joined.element_spec) == 2
            assert dtypes == {tf.float32, tf.int64}
        drawn, _ = few_shot(data, 1)
        assert len(drawn.x) == 2
