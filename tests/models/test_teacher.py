import keras
import numpy as np
import pytest

from keras_otreg.losses import Hint
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.models.teacher import copy_of

layers = keras.layers


def with_means(rng):
    scaling = layers.Normalization()
    scaling.adapt(rng.normal(3.0, 2.0, size=(64, 4)))
    inner = keras.Sequential([keras.Input((4,)), scaling, layers.Dense(3)])
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    return model, rng.normal(size=(5, 4))


def with_bins(rng):
    bins = layers.Discretization(num_bins=3, output_mode="one_hot")
    bins.adapt(rng.normal(size=(64, 1)))
    return keras.Sequential([keras.Input((1,)), bins, layers.Dense(2)]), (
        rng.normal(size=(9, 1))
    )


def with_words(rng):
    words = layers.TextVectorization(output_mode="multi_hot")
    words.adapt(["a cat sat", "a dog ran"])
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, layers.Dense(2)(words(inputs)))
    return model, np.array([["a cat ran"], ["dog"], ["bird"]], dtype=object)


MADE = [
    with_means,
    pytest.param(with_bins, marks=pytest.mark.tensorflow),
    pytest.param(with_words, marks=pytest.mark.tensorflow),
]


@pytest.mark.parametrize("made", MADE)
def test_a_copy_predicts_what_the_network_does(made, rng):
    model, x = made(rng)
    x = keras.ops.convert_to_tensor(x) if made is not with_words else x
    expected = model.predict_on_batch(x)
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_array_equal(copy_of(model).predict_on_batch(x), expected)


def test_a_copy_may_have_the_state_of_another_network(rng):
    model, x = with_means(rng)
    other, _ = with_means(rng)
    expected = other.predict_on_batch(x)
    np.testing.assert_array_equal(
        copy_of(model, other).predict_on_batch(x), expected
    )
    assert not np.allclose(model.predict_on_batch(x), expected)


def test_a_copy_goes_its_own_way(rng):
    model, x = with_means(rng)
    before = model.predict_on_batch(x)
    copy_of(model).set_weights([w + 1.0 for w in model.get_weights()])
    np.testing.assert_array_equal(model.predict_on_batch(x), before)


def test_the_teacher_that_is_a_copy_has_adapted_too(rng):
    student, x = with_means(rng)
    penalty = Penalty(Hint(), at=student.layers[0].name)
    teacher = TransferModel(student, penalties=[penalty]).teacher
    assert teacher is not student
    np.testing.assert_array_equal(
        teacher.predict_on_batch(x), student.predict_on_batch(x)
    )


@keras.saving.register_keras_serializable("tests")
class AddIfGiven(layers.Layer):
    def call(self, x, more=None):
        return x if more is None else x + more

    def compute_output_spec(self, x, more=None):
        return keras.KerasTensor(x.shape, x.dtype)


@pytest.mark.release
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_copy_can_do_without_an_optional_input(rng, is_nested):
    def network(rest):
        x = keras.Input((4,), name="x")
        more = keras.Input((4,), name="more", optional=True)
        return keras.Model([x, more], rest(x, more))

    inner = network(lambda *x: layers.Dense(2, name="f")(AddIfGiven()(*x)))
    model = network(lambda *x: inner(list(x))) if is_nested else inner
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    np.testing.assert_array_equal(
        copy_of(model).predict([x, None], verbose=0),
        model.predict([x, None], verbose=0),
    )
    at = f"{inner.name}/f" if is_nested else "f"
    wrapper = TransferModel(model, penalties=[Penalty(Hint(), at=at)])
    wrapper.compile("sgd", "mse")
    wrapper.fit([x, None], y, verbose=0)
