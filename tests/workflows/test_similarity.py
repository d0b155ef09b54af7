import keras
import numpy as np
import pytest

from keras_otreg.workflows.comparison import (
    CKA,
    PERMUTED,
    TRANSPORT,
    Similarity,
    similarity,
)
from keras_otreg.workflows.layers import main_layers, thinned

layers = keras.layers


def network():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, "tanh", name="first"),
            layers.Dense(4, "tanh", name="second"),
            layers.Dense(3, name="head"),
        ]
    )


def permuted(model, order):
    """The same function, its first neurons in another order."""
    copy = keras.models.clone_model(model)
    kernel, bias, following, *others = model.get_weights()
    copy.set_weights([kernel[:, order], bias[order], following[order], *others])
    return copy


@pytest.mark.slow
def test_a_layer_and_its_permutation_are_alike(rng):
    model = network()
    x = rng.normal(size=(20, 6)).astype("float32")
    paths = (("first",), ("first",))
    found = similarity(model, permuted(model, [1, 2, 3, 4, 0]), (x, x), paths)
    for name in (TRANSPORT, CKA, PERMUTED):
        np.testing.assert_allclose(found.values[name], [[1.0]], atol=1e-3)


@pytest.mark.slow
def test_a_network_and_its_permutation_are_alike(rng):
    model = network()
    other = permuted(model, [1, 2, 3, 4, 0])
    x = rng.normal(size=(40, 6)).astype("float32")
    paths = ("first", "second")
    found = similarity(model, other, (x, x), (paths, paths))
    for name in (TRANSPORT, CKA):
        np.testing.assert_allclose(np.diag(found.values[name]), 1.0, atol=1e-3)
        assert found.values[name][0, 1] < 0.99
    np.testing.assert_allclose(np.diag(found.values[PERMUTED]), [1.0, 0.0])
    # Of other widths, there is no neuron of the same number.
    assert np.isnan(found.values[PERMUTED][0, 1])
    assert found.pairs() == [("first", "first"), ("second", "second")]


@pytest.mark.parametrize("flip", [False, True])
def test_pairs_keep_the_order_of_depth(flip):
    values = np.array([[0.1, 0.9], [0.2, 0.3], [0.8, 0.1], [0.0, 0.4]])
    names = ["a", "b", "c", "d"], ["x", "y"]
    expected = [("c", "x"), ("d", "y")]
    if flip:
        values, names = values.T, names[::-1]
        expected = [(y, x) for x, y in expected]
    found = Similarity(*names, {TRANSPORT: values})
    assert found.pairs() == expected


def test_blocks_are_where_branches_meet():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    for k in range(3):
        branch = layers.Conv2D(4, 3, padding="same", name=f"conv{k}")(x)
        x = layers.Add(name=f"block{k}")([x, branch])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="head")(x))
    assert main_layers(model, 8) == ["block0", "block1", "block2", "pool"]
    assert main_layers(model, 2) == ["block1", "pool"]


def test_in_a_chain_layers_with_an_activation_count():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(4, 3, activation="relu", name="active"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="head"),
        ]
    )
    assert main_layers(model, 8) == ["relu", "active", "flat"]


def test_thinning_keeps_the_last_and_the_order():
    names = list("abcdefgh")
    assert thinned(names, 20) == names
    assert thinned(names, 1) == ["h"]
    found = thinned(names, 3)
    assert len(found) == 3
    assert found[-1] == "h"
    assert found == sorted(found)


def test_inside_another_network_parts_are_found_too():
    inside = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inside)
    for k in range(3):
        x = layers.Add(name=f"block{k}")([x, layers.Conv2D(4, 1)(x)])
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    backbone = keras.Model(inside, x, name="net")
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(5, name="head")(backbone(inputs))
    expected = [f"net/block{k}" for k in range(3)]
    model = keras.Model(inputs, outputs)
    # The pooling returns what the network inside does.
    assert main_layers(model, 8) == [*expected, "net"]


def test_inside_another_network_a_chain_is_one_too():
    stem = (layers.Conv2D(4, 3, activation="relu", name=x) for x in "ab")
    backbone = keras.Sequential(
        [keras.Input((8, 8, 3)), *stem, layers.Flatten()], name="net"
    )
    ends = backbone, layers.Dense(6, "relu", name="wide"), layers.Dense(5)
    model = keras.Sequential([keras.Input((8, 8, 3)), *ends])
    expected = ["net/a", "net/b", "net", "wide"]
    assert main_layers(model, 8) == expected


def test_a_gate_of_channels_ends_no_block():
    inputs = keras.Input((8, 8, 4))
    x = inputs
    for k in range(3):
        seen = layers.GlobalAveragePooling2D(name=f"squeeze{k}")(x)
        seen = layers.Reshape((1, 1, 4))(seen)
        gate = layers.Conv2D(4, 1, activation="sigmoid", name=f"gate{k}")(seen)
        inner = layers.Multiply(name=f"excite{k}")([x, gate])
        x = layers.Add(name=f"block{k}")([x, inner])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="head")(x))
    assert main_layers(model, 8) == ["block0", "block1", "block2", "pool"]
