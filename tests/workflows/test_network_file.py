import keras
import numpy as np
import pytest

from keras_otreg.workflows.networks import network_in

layers = keras.layers


@keras.saving.register_keras_serializable("of_a_person")
class Own(layers.Layer):
    def call(self, x):
        return x


def saved(path, layer):
    keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)]).save(path)
    return path


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04half"])
def test_a_file_that_is_no_model_is_not_called_missing(tmp_path, content):
    path = tmp_path / "garbage.keras"
    path.write_bytes(content)
    with pytest.raises(OSError, match="it is no Keras model") as error:
        network_in(path, "teacher")
    assert "not found" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_layer_of_ones_own_is_named_and_no_more(tmp_path, monkeypatch):
    path = saved(tmp_path / "own.keras", Own())
    assert network_in(path, "teacher").layers[0].name == "own"
    monkeypatch.delitem(keras.saving.get_custom_objects(), "of_a_person>Own")
    with pytest.raises(OSError, match="it needs Own, which") as error:
        network_in(path, "teacher")
    assert "in Python" in str(error.value)
    assert len(str(error.value)) < 200 + len(str(path))


def test_a_lambda_is_named(tmp_path):
    path = saved(tmp_path / "own.keras", layers.Lambda(lambda x: 2 * x))
    with pytest.raises(OSError, match="it needs Lambda, which"):
        network_in(path, "teacher")


def test_what_keras_says_is_shortened(tmp_path):
    path = saved(tmp_path / "own.keras", layers.Dense(1))
    path = path.rename(tmp_path / "own.zip")
    with pytest.raises(OSError, match="not supported") as error:
        network_in(path, "teacher")
    assert str(error.value).endswith(" ...")


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value, dtype):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="own", dtype=dtype)]
    )
    model.save(tmp_path / "whole.keras")
    assert network_in(tmp_path / "whole.keras", "teacher").built
    model.set_weights([np.full((3, 2), value), np.zeros(2)])
    model.save(tmp_path / "broken.keras")
    with pytest.raises(OSError, match="own/kernel holds NaN or infinity"):
        network_in(tmp_path / "broken.keras", "teacher")


def test_a_single_output_loses_its_name(tmp_path):
    inputs = keras.Input((3,))
    outputs = layers.Dense(2, name="scores")(inputs)
    for structure in ({"scores": outputs}, [outputs], outputs):
        model = keras.Model(inputs, structure)
        model.save(tmp_path / "named.keras")
        x = np.ones((4, 3))
        np.testing.assert_array_equal(
            network_in(tmp_path / "named.keras", "model").predict_on_batch(x),
            keras.Model(inputs, outputs).predict_on_batch(x),
        )
