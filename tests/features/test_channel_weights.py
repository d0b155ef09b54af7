import keras
import numpy as np
import pytest
from keras import layers

from keras_otreg.features import channel_weights
from keras_otreg.features.taps import changing, recording


def network(kind):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="low")(
        inputs
    )
    y = layers.Conv2D(6, 3, padding="same", name="inside")(x)
    if kind == "shortcut":
        y = layers.Add(name="sum")([x, y])
    if kind == "joined":
        y = layers.Concatenate(name="sum")([x, y])
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.GlobalAveragePooling2D(name="pool")(layers.ReLU(name="out")(y))
    backbone = keras.Model(inputs, y, name="backbone")
    head = layers.Dense(4, activation="softmax", name="head")
    return keras.Sequential([keras.Input((8, 8, 3)), backbone, head])


@pytest.fixture
def data(rng):
    x = rng.normal(size=(9, 8, 8, 3)).astype("float32")
    return x, rng.integers(0, 4, size=9)


def without(model, at, j):
    """A copy of a model whose weights switch a channel off."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    if at in ("low", "inside"):
        # As in the authors' code: no kernel, no output.
        layer = copy.get_layer("backbone").get_layer(at)
        kernel, bias = layer.get_weights()
        kernel[..., j], bias[j] = 0.0, 0.0
    else:
        # All that comes of the channel is a row of the head.
        layer = copy.get_layer("head")
        kernel, bias = layer.get_weights()
        kernel[j] = 0.0
    layer.set_weights([kernel, bias])
    return copy


def by_hand(model, at, x, y, temperature=5.0):
    """One pass for each channel."""
    channels = model.get_layer("backbone").get_layer(at).output.shape[-1]
    losses = []
    for j in range(channels):
        predictions = np.asarray(without(model, at, j)(x, training=False))
        losses.append(-np.log(predictions[np.arange(len(y)), y]).mean())
    z = (np.array(losses) - np.mean(losses)) / np.std(losses)
    return np.exp(z / temperature) / np.exp(z / temperature).sum()


@pytest.mark.release
@pytest.mark.parametrize("kind", ["plain", "shortcut", "joined"])
@pytest.mark.parametrize("at", ["low", "inside", "out", "pool"])
def test_it_is_what_one_pass_a_channel_finds(kind, at, data):
    model = network(kind)
    found = channel_weights(model, f"backbone/{at}", [data], copies=4)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-6)
    assert np.ptp(found) > 0.01
    np.testing.assert_allclose(found, by_hand(model, at, *data), rtol=1e-3)


def test_a_channel_that_is_off_already_loses_nothing_by_hand():
    # The head reads channel 0 alone: it is right with it, and guesses without.
    inputs = keras.Input((3,))
    outputs = layers.Dense(2, "softmax", name="head")(
        layers.Identity(name="features")(inputs)
    )
    model = keras.Model(inputs, outputs)
    kernel = np.array([[np.log(3.0), 0.0], [0.0, 0.0], [0.0, 0.0]])
    model.get_layer("head").set_weights([kernel, np.zeros(2)])
    data = np.ones((1, 3), "float32"), np.zeros(1, "int32")
    # Losses log 2 without channel 0 and log(4/3) else; standardised to
    # sqrt(2) and -sqrt(1/2) each.
    powers = np.exp(np.array([2**0.5, -(0.5**0.5), -(0.5**0.5)]) / 2.0)
    np.testing.assert_allclose(
        channel_weights(model, "features", [data], temperature=2.0),
        powers / powers.sum(),
        rtol=1e-5,
    )


def test_channels_without_effect_count_the_same():
    inputs = keras.Input((3,))
    features = layers.Identity(name="features")(inputs)
    head = layers.Dense(2, "softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, head(features))
    data = np.ones((4, 3), "float32"), np.zeros(4, "int32")
    np.testing.assert_allclose(
        channel_weights(model, "features", [data]), 1 / 3, rtol=1e-6
    )


def test_the_number_of_copies_does_not_matter(data):
    model = network("plain")
    found = [
        channel_weights(model, "backbone/out", [data], copies=copies)
        for copies in (1, 4, 6, 100)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "at"),
    [("shortcut", "inside"), ("joined", "inside"), ("plain", "out")],
)
def test_the_size_of_the_batches_does_not_matter(kind, at, data):
    model, (x, y), at = network(kind), data, f"backbone/{at}"
    expected = channel_weights(model, at, [data])
    for sizes in ([1], [4, 8]):
        parts = zip(np.split(x, sizes), np.split(y, sizes), strict=True)
        np.testing.assert_allclose(
            channel_weights(model, at, list(parts)), expected, rtol=1e-3
        )


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
        keras.losses.sparse_categorical_crossentropy,
    ],
)
def test_the_loss_may_be_any_of_keras(data, loss):
    model = network("plain")
    np.testing.assert_allclose(
        channel_weights(model, "backbone/out", [data], loss),
        channel_weights(model, "backbone/out", [data]),
        rtol=1e-5,
    )


def test_the_part_before_the_layer_runs_once_for_all_copies(data):
    model = network("plain")
    low = model.get_layer("backbone").get_layer("low")
    with recording([low]) as record:
        channel_weights(model, "backbone/out", [data], copies=6)
    assert [len(outputs) for outputs in record[id(low)]] == [9, 9]


def test_the_model_is_left_as_it_was(data):
    model = network("shortcut")
    before = model.get_weights()
    expected = np.asarray(model(data[0]))
    channel_weights(model, "backbone/inside", [data])
    np.testing.assert_array_equal(model(data[0]), expected)
    for x, y in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    layer = model.get_layer("backbone").get_layer("inside")
    assert "call" not in vars(layer)


def test_a_layer_that_is_called_twice_is_refused(data):
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    model = keras.Model(inputs, layers.Dense(2)(shared(shared(inputs))))
    batch = np.ones((3, 4), "float32"), np.zeros(3, "int32")
    for at in ("shared", "shared#1"):
        with pytest.raises(ValueError, match=r"called once.*2 times.*Tap"):
            channel_weights(model, at, [batch])


def test_what_cannot_be_read_is_refused(data):
    model = network("plain")
    with pytest.raises(ValueError, match="no layer"):
        channel_weights(model, "backbone/none", [data])
    with pytest.raises(ValueError, match="at least one batch"):
        channel_weights(model, "backbone/out", [])
    with pytest.raises(ValueError, match="`temperature`"):
        channel_weights(model, "backbone/out", [data], temperature=0.0)
    with pytest.raises(ValueError, match="`copies`"):
        channel_weights(model, "backbone/out", [data], copies=0)
    with pytest.raises(ValueError, match="`loss`.*Received: loss=None"):
        channel_weights(model, "backbone/out", [data], loss=None)


def test_changes_are_undone_after_an_error(data):
    layer = layers.Dense(2)
    layer.build((None, 3))
    x = np.ones((2, 3), "float32")
    expected = np.asarray(layer(x))
    with (
        pytest.raises(RuntimeError, match="stop"),
        changing(layer, lambda x: 0),
    ):
        raise RuntimeError("stop")
    np.testing.assert_array_equal(layer(x), expected)
    with changing(layer, lambda outputs: 2 * outputs):
        np.testing.assert_allclose(layer(x), 2 * expected)
        np.testing.assert_allclose(layers.Activation("relu")(x), x)
    np.testing.assert_array_equal(layer(x), expected)
