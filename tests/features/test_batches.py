import keras
import numpy as np
import pytest

from keras_otreg.features.batches import batches, predictions


class Endless:
    """What tells that it has no end, as a `tf.data.Dataset` does."""

    def cardinality(self):
        return -1

    def __iter__(self):
        while True:
            yield np.zeros((2, 3)), np.zeros(2)


def test_a_data_set_without_end_is_refused_where_all_of_it_is_read():
    with pytest.raises(ValueError, match="passes end.*`repeat"):
        batches(Endless())
    x, _ = next(batches(Endless(), are_all_read=False))
    assert x.shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.zeros((4, 3)), np.zeros(5)), r"lengths \[4, 5\]"),
        ((np.zeros((0, 3)), np.zeros(0)), r"lengths \[0\]"),
        ((np.zeros((4, 3)), None), r"lengths \[0, 4\]"),
        (iter(()), "A generator can be read only once"),
    ],
)
def test_samples_without_a_label_each_are_refused(data, message):
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(2, "softmax")(x))
    with pytest.raises(ValueError, match=message):
        predictions(model, data)
