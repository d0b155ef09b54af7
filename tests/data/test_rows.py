"""Rows of arrays come in batches, and arrays go with their batches."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_otreg.data.teacher import batches_of_rows

BATCHES = 3


@pytest.fixture(autouse=True)
def only_new_objects():
    """Collections look at what a test makes, not at all that was imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def made():
    """Batches of rows, and weak references to what they are of."""
    columns = [np.arange(8.0).reshape(4, 2), np.arange(4)]
    batches = batches_of_rows(columns * 2, 2, 0, tuple)
    return batches, [weakref.ref(column) for column in columns]


def are_alive(references):
    gc.collect()
    alive = {reference() is not None for reference in references}
    assert len(alive) == 1
    return alive == {True}


def distributed(batches):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    return strategy.experimental_distribute_dataset(batches.repeat())


DERIVED = {
    "several": lambda x: x.repeat().shuffle(2).filter(lambda *_: True).take(9),
    "mapped": lambda x: x.map(lambda *columns: columns[0]).repeat(),
    "arrays": lambda x: x.repeat().as_numpy_iterator(),
    "distributed iterator": lambda x: iter(distributed(x)),
}


@pytest.mark.slow
def test_rows_stay_together_and_orders_are_those_of_the_seed():
    columns = [np.arange(7) * 0.5, np.arange(7)]
    for seed in (None, 1):
        first, again, other = (
            np.concatenate([y for _, y in batches])
            for batches in (
                batches_of_rows(columns, 3, seed, tuple),
                batches_of_rows(columns, 3, seed, tuple),
                batches_of_rows(columns, 3, 2, tuple),
            )
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        assert np.array_equal(first, columns[1]) == (seed is None)
    for x, y in batches_of_rows(columns, 3, 1, tuple):
        np.testing.assert_array_equal(x, y.numpy() * 0.5)


@pytest.mark.release
def test_arrays_go_with_their_batches():
    batches, references = made()
    assert are_alive(references)
    for _ in batches:
        pass
    assert are_alive(references)
    del batches, _
    assert not are_alive(references)


@pytest.mark.release
@pytest.mark.parametrize("derive", DERIVED.values(), ids=DERIVED)
def test_what_is_made_of_batches_keeps_the_arrays(derive):
    batches, references = made()
    derived = derive(batches)
    del batches
    assert are_alive(references)
    iterator = iter(derived)
    for _ in range(BATCHES):
        next(iterator)
    del derived
    assert are_alive(references)
    next(iterator)
    del iterator
    assert not are_alive(references)


@pytest.mark.release
def test_an_iterator_that_is_dropped_is_dropped_in_silence(capfd):
    for _ in range(2):
        batches, references = made()
        iterator = iter(batches.repeat())
        next(iterator)
        del batches, iterator
        assert not are_alive(references)
    assert "Error" not in capfd.readouterr().err


@pytest.mark.release
def test_what_outlives_the_arrays_says_so():
    batches, _ = made()
    taken = tf.function(batches.repeat, autograph=False)()
    del batches
    gc.collect()
    with pytest.raises(tf.errors.InvalidArgumentError, match="in a variable"):
        next(iter(taken))
