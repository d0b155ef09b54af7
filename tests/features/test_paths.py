import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.features import capture


@pytest.fixture
def siamese():
    """A model that calls its encoder twice, and the encoder."""
    inputs = keras.Input((4,))
    encoder = keras.Model(
        inputs, layers.Dense(3, name="dense")(inputs), name="encoder"
    )
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], encoder(a) - encoder(b)), encoder


@pytest.fixture
def pair(rng):
    return [rng.normal(size=(2, 4)).astype("float32") for _ in range(2)]


@pytest.mark.parametrize("path", ["encoder", "encoder/dense"])
def test_a_layer_called_twice_is_refused_unless_chosen(siamese, pair, path):
    model, _ = siamese
    with pytest.raises(ValueError, match="2 times") as error:
        capture(model, pair, [path])
    assert f"{path}#0" in str(error.value)
    assert f"{path}#1" in str(error.value)


@pytest.mark.parametrize("path", ["encoder", "encoder/dense"])
def test_a_call_is_chosen_by_its_number(siamese, pair, path):
    model, encoder = siamese
    _, found = capture(model, pair, [f"{path}#0", f"{path}#1"])
    for k in (0, 1):
        np.testing.assert_allclose(
            found[f"{path}#{k}"], encoder(pair[k]), rtol=1e-6
        )


def test_a_call_that_was_not_made_is_refused(siamese, pair, functional, x):
    with pytest.raises(ValueError, match="2 times"):
        capture(siamese[0], pair, ["encoder#2"])
    with pytest.raises(ValueError, match="1 times"):
        capture(functional, x, ["hidden#1"])
    np.testing.assert_array_equal(
        capture(functional, x, ["hidden#0"])[1]["hidden#0"],
        capture(functional, x, ["hidden"])[1]["hidden"],
    )


def test_a_name_with_a_hash_is_a_name(x):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, name="dense#1")(inputs))
    prediction, found = capture(model, x, ["dense#1"])
    np.testing.assert_array_equal(found["dense#1"], prediction)


def test_a_layer_that_was_not_called_is_refused(make_subclassed, x):
    model = make_subclassed(
        layers.Dense(3), layers.ReLU(), layers.Dense(2, name="head")
    )
    model.spare = layers.Dense(1, name="spare")
    model.spare.build((None, 4))
    model(x)
    with pytest.raises(ValueError, match=r"'spare'.*0 times"):
        capture(model, x, ["spare"])


@pytest.mark.parametrize("path", ["hiden", "Hidden", "backbone/hidden"])
def test_a_wrong_name_lists_near_matches(functional, x, path):
    with pytest.raises(ValueError, match="no layer at path") as error:
        capture(functional, x, [path])
    for part in (repr(path), "'hidden'", "features.summary(model)"):
        assert part in str(error.value)


def test_a_name_without_its_model_finds_the_whole_path(siamese, pair):
    with pytest.raises(ValueError, match="encoder/dense"):
        capture(siamese[0], pair, ["dense"])


@pytest.mark.parametrize("path", ["", "/", "hidden/", "/hidden", "#0", "q#0"])
def test_a_path_to_nothing_is_refused(functional, x, path):
    with pytest.raises(ValueError, match="path"):
        capture(functional, x, [path])


def test_an_input_is_not_a_layer(functional, x):
    name = functional.layers[0].name
    with pytest.raises(ValueError, match="no layer at path"):
        capture(functional, x, [name])


def test_two_layers_of_one_path_are_refused(make_subclassed, x):
    model = make_subclassed(
        layers.Dense(4, name="same"),
        layers.Dense(5, name="same"),
        layers.Dense(2),
    )
    model(x)
    with pytest.raises(ValueError, match="same"):
        capture(model, x, ["same"])
