import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.features import capture, summary
from keras_otreg.features.taps import summary_rows


def test_every_row_can_be_captured_and_has_its_shape(network, x):
    model, path, _ = network
    rows = {name: shape for name, _, shape in summary_rows(model)}
    assert path in rows
    _, found = capture(model, x, rows)
    for name, activations in found.items():
        width = activations.shape[-1]
        assert rows[name] in (f"(None, {width})", f"(2, {width})")


def test_summary_leaves_the_model_alone(network, x):
    model, path, _ = network
    before = [np.array(w) for w in model.weights]
    expected = np.asarray(model(x))
    summary_rows(model)
    np.testing.assert_array_equal(model(x), expected)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_row_for_each_call_with_the_path_that_chooses_it():
    encoder = layers.Dense(3, name="encoder")
    a, b = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([a, b], encoder(a) + encoder(b))
    assert summary_rows(model) == [
        ("encoder#0", "Dense", "(None, 3)"),
        ("encoder#1", "Dense", "(None, 3)"),
    ]


@pytest.mark.repeats
@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: layers.LSTM(3, name="loop"), ["loop"]),
        (
            lambda: layers.TimeDistributed(layers.Dense(3), name="loop"),
            ["loop"],
        ),
        (
            lambda: layers.TimeDistributed(
                keras.Sequential([layers.Dense(3), layers.Dense(2)]),
                name="loop",
            ),
            ["loop"],
        ),
        (
            lambda: layers.RNN(
                [layers.LSTMCell(3), layers.GRUCell(2)], name="loop"
            ),
            ["loop"],
        ),
        (
            lambda: layers.Bidirectional(layers.GRU(3), name="loop"),
            ["loop", "loop/forward_gru", "loop/backward_gru"],
        ),
    ],
)
def test_layers_inside_loops_are_not_listed(layer, expected, rng):
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, layer()(inputs))
    assert [path for path, _, _ in summary_rows(model)] == expected
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    assert list(capture(model, x, expected)[1]) == expected


def test_several_tensors_have_several_shapes():
    inputs = keras.Input((5, 4))
    outputs = layers.LSTM(3, return_state=True, name="lstm")(inputs)
    ((_, _, shapes),) = summary_rows(keras.Model(inputs, outputs))
    assert shapes.count("(None, 3)") == 3


@pytest.mark.skipif(
    keras.version().startswith("3.12."),
    reason="Keras 3.12 itself cannot run a layer that returns None",
)
def test_a_layer_that_returns_none_among_tensors_is_listed(make_subclassed, x):
    class Pair(layers.Layer):
        def call(self, inputs):
            return inputs, None

    class First(layers.Layer):
        def call(self, inputs):
            return inputs[0]

    model = make_subclassed(Pair(name="pair"), First(), layers.Dense(2))
    model(x)
    paths = [path for path, _, _ in summary_rows(model)]
    assert "pair" in paths


def test_a_model_of_unknown_input_has_rows_without_shapes(make_subclassed):
    model = make_subclassed(
        layers.Dense(3, name="a"), layers.ReLU(name="b"), layers.Dense(2)
    )
    assert summary_rows(model)[0] == ("a", "Dense", "?")
    model = keras.Sequential([layers.Dense(3, name="a")])
    assert summary_rows(model) == [("a", "Dense", "?")]


@pytest.mark.parametrize("kind", ["dictionary", "list"])
def test_a_subclassed_model_of_several_inputs(kind, rng):
    class Joined(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, name="dense")

        def call(self, inputs):
            parts = inputs.values() if kind == "dictionary" else inputs
            return self.dense(keras.ops.concatenate(list(parts), axis=-1))

    model, parts = Joined(), [rng.normal(size=(3, w)) for w in (2, 4)]
    model(
        dict(zip("ab", parts, strict=True)) if kind == "dictionary" else parts
    )
    assert summary_rows(model) == [("dense", "Dense", "(3, 2)")]


def test_integer_inputs_are_understood():
    inputs = keras.Input((5,), dtype="int32")
    model = keras.Model(inputs, layers.Embedding(7, 3, name="e")(inputs))
    assert summary_rows(model) == [("e", "Embedding", "(None, 5, 3)")]


def test_the_printed_table_holds_every_path_in_full(capsys):
    name = "a_rather_long_name_of_a_layer_that_somebody_chose"
    inputs = keras.Input((4,))
    hidden = layers.Dense(3, name=f"inner_{name}")(inputs)
    backbone = keras.Model(inputs, hidden, name=f"outer_{name}")
    model = keras.Model(inputs, layers.Dense(2, name="head")(backbone(inputs)))
    assert summary(model) is None
    printed = capsys.readouterr().out
    for part in ("path", "layer", "output shape", "head", "(None, 2)"):
        assert part in printed
    # However narrow the screen: a path is there to be copied.
    assert f"outer_{name}/inner_{name}" in printed
