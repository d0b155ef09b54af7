"""The commands, on a network that holds another one and a layer `head`."""

import keras
import pytest

layers = keras.layers


@pytest.fixture
def nested(tmp_path):
    inside = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="maps")(inside)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    backbone = keras.Model(inside, x, name="backbone")
    inputs = keras.Input((8, 8, 3))
    x = backbone(layers.Rescaling(1 / 255, name="head")(inputs))
    outputs = layers.Dense(5, "softmax", name="top")(x)
    keras.Model(inputs, outputs).save(tmp_path / "nested.keras")
    return tmp_path / "nested.keras"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("finetune", "{folder}", "--teacher", "{nested}"),
        pytest.param(
            (
                *("compress", "{nested}", "{folder}", "--student", "{nested}"),
                *("--method", "cka"),
            ),
            marks=pytest.mark.release,
        ),
    ],
)
def test_a_network_inside_another_one_is_taken(
    run, nested, folder, tmp_path, options
):
    places = {"nested": nested, "folder": folder}
    arguments = [x.format(**places) for x in options]
    out = "--out", tmp_path / "out", "--epochs", 1, "--quiet"
    code, _, error = run(*arguments, *out)
    assert (code, error) == (0, "")
