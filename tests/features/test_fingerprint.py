import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.features import fingerprint
from keras_otreg.features.fingerprint import precision_before


def changed(layer):
    weights = layer.get_weights()
    weights[0] = np.nextafter(weights[0], np.float32(np.inf))
    layer.set_weights(weights)


def test_equal_weights_have_one_name_and_any_change_another(network):
    model, path, hidden = network
    name = fingerprint(model)
    hidden.name = "renamed"
    assert fingerprint(model) == name
    changed(hidden)
    assert fingerprint(model) != name


def test_only_what_runs_before_a_layer_counts_for_it(network, x):
    model, path, hidden = network
    before = fingerprint(model), fingerprint(model, [path])
    changed(model.layers[-1])
    assert fingerprint(model) != before[0]
    assert fingerprint(model, [path]) == before[1]
    changed(hidden)
    assert fingerprint(model, [path]) != before[1]


def test_a_later_layer_of_the_same_weights_counts(x):
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    y = layers.Dense(4, name="first")(inputs)
    model = keras.Model(inputs, shared(layers.ReLU(name="out")(shared(y))))
    name = fingerprint(model, ["first"])
    out = fingerprint(model, ["out"])
    changed(shared)
    assert fingerprint(model, ["first"]) == name
    assert fingerprint(model, ["out"]) != out


def test_shapes_and_random_states_are_told_apart_from_weights():
    inputs = keras.Input((4,))
    dropout = layers.Dropout(0.5)
    model = keras.Model(inputs, layers.Dense(2)(dropout(inputs)))
    name = fingerprint(model)
    model(np.ones((2, 4)), training=True)
    assert fingerprint(model) == name
    widths = (2, 3), (3, 2)
    models = [
        keras.Sequential([keras.Input((n,)), layers.Dense(m, use_bias=False)])
        for n, m in widths
    ]
    for model in models:
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert fingerprint(models[0]) != fingerprint(models[1])


def test_an_unknown_path_is_refused(functional):
    with pytest.raises(ValueError, match="no layer at path 'hiden'"):
        fingerprint(functional, ["hiden"])


def test_precision_is_that_of_the_layers_before():
    image = keras.Input((3,))
    x = layers.Dense(2, dtype="mixed_bfloat16", name="early")(image)
    inner = keras.Model(image, layers.Activation("relu", dtype="float32")(x))
    x = layers.Dense(2, dtype="float64", name="late")(inner(image))
    model = keras.Model(image, x)
    path = f"{inner.name}/early"
    assert precision_before(model, [path]) == ["bfloat16"]
    assert precision_before(model, [inner.name]) == ["bfloat16", "float32"]
    assert precision_before(model, ["late"]) == [
        "bfloat16",
        "float32",
        "float64",
    ]
    with pytest.raises(ValueError, match="no layer"):
        precision_before(model, ["unknown"])


def test_lora_counts_as_it_is_saved(tmp_path):
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    layer = model.get_layer("features")
    layer.enable_lora(2)
    plain = fingerprint(model), fingerprint(model, ["features"])
    layer.lora_kernel_b.assign(np.ones((2, 3), "float32"))
    names = fingerprint(model), fingerprint(model, ["features"])
    assert not set(names) & set(plain)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert names == (fingerprint(loaded), fingerprint(loaded, ["features"]))
