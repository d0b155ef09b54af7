import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_otreg.features import capture
from keras_otreg.layers import FeatureTap


def test_captures_what_the_layer_returned_beside_the_prediction(network, x):
    model, path, hidden = network
    prediction, found = capture(model, x, [path])
    np.testing.assert_allclose(prediction, model(x), rtol=1e-6)
    np.testing.assert_allclose(found[path], hidden(x), rtol=1e-6)


@pytest.mark.repeats
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_captures_inside_a_graph(network, x, one_graph, jit_compile):
    model, path, hidden = network
    run = one_graph(
        lambda x: capture(model, x, [path]), jit_compile=jit_compile
    )
    prediction, found = run(x)
    np.testing.assert_allclose(prediction, model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[path], hidden(x), rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow
def test_captures_for_an_unknown_batch_size(network, x):
    import tensorflow as tf

    model, path, hidden = network
    run = tf.function(
        lambda x: capture(model, x, [path])[1],
        input_signature=[tf.TensorSpec((None, 4))],
    )
    for size in (1, 6):
        np.testing.assert_allclose(
            run(x[:size])[path], hidden(x[:size]), rtol=1e-5
        )


@pytest.fixture
def slope_of_squares(value_and_gradients):
    """The gradient of the sum of squares of a layer, in a model's inputs."""

    def gradient(model, x, path):
        def squares(x):
            return ops.sum(capture(model, x, [path])[1][path] ** 2)

        return value_and_gradients(squares)(x)[1][0]

    return gradient


def test_gradients_pass_through_captured_activations(
    network, x, slope_of_squares
):
    model, path, hidden = network
    kernel = np.array(hidden.kernel)
    H = np.tanh(x @ kernel)
    np.testing.assert_allclose(
        slope_of_squares(model, x, path),
        (2 * H * (1 - H**2)) @ kernel.T,
        rtol=1e-4,
        atol=1e-5,
    )


def test_gradients_pass_through_a_layer_that_recomputes_its_activations(
    x, slope_of_squares
):
    with keras.RematScope(mode="full"):
        hidden = layers.Dense(5, activation="tanh", name="hidden")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(hidden(inputs)))
    gradient = np.array(slope_of_squares(model, x, "hidden"))
    assert np.abs(gradient).max() > 0.0, "a penalty would do nothing, silently"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_captures_from_a_quantised_model(functional, x):
    expected = np.asarray(functional.get_layer("hidden")(x))
    functional.quantize("int8")
    _, found = capture(functional, x, ["hidden"])
    np.testing.assert_allclose(found["hidden"], expected, atol=0.1)


def test_runs_the_model_once(make_counter, x):
    counter = make_counter()
    inputs = keras.Input((4,))
    hidden = layers.Dense(3, name="a")(counter(inputs))
    outputs = layers.Dense(2, name="b")(hidden)
    model = keras.Model(inputs, outputs)
    counter.count = 0
    capture(model, x, ["a", "b", counter.name])
    assert counter.count == 1


def test_captures_several_layers_and_none(functional, x):
    prediction, found = capture(functional, x, iter(["hidden", "head"]))
    assert list(found) == ["hidden", "head"]
    np.testing.assert_array_equal(found["head"], prediction)
    assert capture(functional, x, [])[1] == {}


@pytest.mark.slow
def test_captures_from_a_nested_keras_application(rng):
    backbone = keras.applications.MobileNetV2(
        (32, 32, 3), 0.35, include_top=False, weights=None, pooling="avg"
    )
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Dense(2)(backbone(inputs)))
    path = f"{backbone.name}/block_6_expand_relu"
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    prediction, found = capture(model, x, [path], training=False)
    layer = backbone.get_layer("block_6_expand_relu")
    expected = keras.Model(backbone.input, layer.output)(x, training=False)
    np.testing.assert_allclose(found[path], expected, rtol=1e-5)
    np.testing.assert_allclose(prediction, model(x, training=False), rtol=1e-5)


def test_training_is_passed_to_the_model(x):
    inputs = keras.Input((4,))
    noisy = layers.Dropout(0.5, name="drop")(inputs)
    model = keras.Model(inputs, layers.BatchNormalization(name="norm")(noisy))
    statistics = [np.array(w) for w in model.non_trainable_variables]
    _, found = capture(model, x, ["drop"], training=False)
    np.testing.assert_array_equal(found["drop"], x)
    for before, after in zip(
        statistics, model.non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(before, after)
    _, found = capture(model, x, ["drop"], training=True)
    assert (np.asarray(found["drop"]) == 0.0).any()


def test_several_inputs_and_a_dictionary_of_outputs(rng):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = layers.Concatenate(name="joined")([a, b])
    outputs = {"p": layers.Dense(1)(joined), "q": layers.Dense(2)(joined)}
    model = keras.Model({"a": a, "b": b}, outputs)
    data = {"a": rng.normal(size=(4, 3)), "b": rng.normal(size=(4, 2))}
    prediction, found = capture(model, data, ["joined"])
    assert set(prediction) == {"p", "q"}
    np.testing.assert_allclose(
        found["joined"], np.hstack([data["a"], data["b"]]), rtol=1e-6
    )


@pytest.mark.slow
def test_a_recurrent_layer_can_be_captured(rng, one_graph):
    inputs = keras.Input((5, 3))
    hidden = layers.LSTM(4, name="lstm", return_sequences=True)(inputs)
    hidden = layers.TimeDistributed(layers.Dense(2), name="each")(hidden)
    model = keras.Model(inputs, layers.Bidirectional(layers.GRU(3))(hidden))
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    run = one_graph(lambda x: capture(model, x, ["lstm", "each"])[1])
    found = run(x)
    np.testing.assert_allclose(
        found["lstm"], model.get_layer("lstm")(x), atol=1e-6
    )
    assert found["each"].shape == (2, 5, 2)


def test_a_tap_takes_one_tensor_of_a_layer_that_returns_several(rng):
    inputs = keras.Input((5, 3))
    sequence, _, state = layers.LSTM(
        4, return_state=True, return_sequences=True, name="lstm"
    )(inputs)
    outputs = layers.Dense(2)(FeatureTap(name="state")(state))
    model = keras.Model(inputs, [outputs, sequence])
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    _, found = capture(model, x, ["state"])
    assert found["state"].shape == (2, 4)
    with pytest.raises(ValueError, match=r"'lstm' to return one tensor"):
        capture(model, x, ["lstm"])


def test_a_layer_without_a_batch_axis_is_refused(x):
    inputs = keras.Input((4,))
    flat = layers.Reshape((), name="flat")(layers.Dense(1)(inputs))
    model = keras.Model(inputs, flat)
    with pytest.raises(ValueError, match=r"\(batch, ..., units\)"):
        capture(model, x, ["flat"])


def test_a_capture_inside_a_captured_model_hides_nothing(
    functional, make_subclassed, x
):
    class Reader(layers.Layer):
        def call(self, inputs):
            return capture(functional, inputs, ["hidden"])[1]["hidden"]

    reader = Reader()
    reader.backbone = functional
    functional.name = "backbone"
    model = make_subclassed(reader, layers.ReLU(), layers.Dense(2))
    model(x)
    path = f"{reader.name}/backbone/hidden"
    _, found = capture(model, x, [path])
    np.testing.assert_allclose(
        found[path], functional.get_layer("hidden")(x), rtol=1e-6
    )


def test_an_unbuilt_model_is_refused_by_name(make_subclassed, x):
    model = make_subclassed(
        layers.Dense(3, name="hidden"),
        layers.ReLU(),
        layers.Dense(2),
        name="raw",
    )
    with pytest.raises(ValueError, match="built"):
        capture(model, x, ["hidden"])


@pytest.mark.parametrize("model", [None, layers.Dense(2), "resnet"])
def test_what_is_no_model_is_refused(model, x):
    with pytest.raises(ValueError, match=r"`model`.*Model"):
        capture(model, x, ["hidden"])
