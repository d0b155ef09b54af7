import keras
import pytest

from keras_otreg.workflows.layers import known_layers


@pytest.fixture
def model():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="out")], name="body"
    )
    shared = keras.layers.Dense(3, name="shared")
    x = inner(inner.inputs[0])
    return keras.Model(inner.inputs, shared(shared(x)), name="inside")


def test_layers_that_are_there_come_back(model):
    paths = ("body/out", "shared#1", "body")
    assert known_layers(model, paths, "net.keras") == [*paths]


def test_a_layer_that_is_not_there_is_told_in_the_words_of_a_user(model):
    with pytest.raises(ValueError, match="'net.keras'") as error:
        known_layers(model, ["out"], "net.keras")
    message = str(error.value)
    assert "body/out" in message.split("Near matches")[1]
    assert "keras-otreg inspect" in message
    assert "features.summary" not in message
    assert "inside" not in message
    with pytest.raises(ValueError, match="replaces those behind 'body'"):
        known_layers(model, ["probs"], "net.keras", "body")
