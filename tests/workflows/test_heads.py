import keras
import numpy as np
import pytest

from keras_otreg.features import capture
from keras_otreg.workflows.layers import (
    HEAD,
    classifier,
    features_of,
    place_of,
    with_new_head,
)

layers = keras.layers


def network(*ends):
    inputs = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="maps")]
    return keras.Sequential([*inputs, *ends])


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([layers.GlobalAveragePooling2D(name="avg_pool")], "avg_pool"),
        ([layers.Flatten(name="flat"), layers.Dense(5)], "flat"),
        (
            [
                layers.Flatten(name="flat"),
                layers.Dense(6, name="wide"),
                layers.Dropout(0.5, name="drop"),
                layers.Dense(5),
                layers.Softmax(),
            ],
            "drop",
        ),
        ([layers.ReLU(name="last")], "last"),
        ([layers.Activation("relu", name="last")], "last"),
        ([layers.Flatten(name="last")], "last"),
        (
            [
                layers.GlobalAveragePooling2D(keepdims=True, name="pooled"),
                layers.Conv2D(5, 1),
                layers.Reshape((5,)),
                layers.Softmax(),
            ],
            "pooled",
        ),
        (
            [
                layers.GlobalAveragePooling2D(keepdims=True),
                layers.Conv2D(6, 1),
                layers.Activation("relu", name="active"),
                layers.Dropout(0.2, name="drop"),
                layers.Conv2D(5, 1),
                layers.Flatten(),
                layers.Activation("softmax"),
            ],
            "drop",
        ),
        # Of scores at positions the mean is taken.
        (
            [
                layers.ReLU(name="read"),
                layers.Conv2D(5, 1),
                layers.ReLU(),
                layers.GlobalAveragePooling2D(name="avg_pool"),
                layers.Softmax(),
            ],
            "read",
        ),
        (
            [
                layers.ReLU(name="read"),
                layers.Conv2D(5, 1, activation="softmax"),
                layers.GlobalAveragePooling2D(),
            ],
            "read",
        ),
        # Not a head, but a softmax.
        (
            [
                layers.GlobalAveragePooling2D(),
                layers.BatchNormalization(name="norm"),
                layers.Softmax(),
            ],
            "norm",
        ),
        # The name alone says nothing.
        (
            [
                layers.AveragePooling2D(2, name="avg_pool"),
                layers.GlobalAveragePooling2D(name="last"),
                layers.Dense(5),
            ],
            "last",
        ),
        (
            [
                layers.Conv2D(4, 1, name="avg_pool"),
                layers.Flatten(name="flat"),
                layers.Dense(5),
            ],
            "flat",
        ),
        # Neurons at positions, not a number for each class.
        ([layers.Conv2D(5, 1), layers.Flatten(name="last")], "last"),
        ([layers.Conv2D(5, 1, name="last")], "last"),
    ],
)
def test_a_head_is_put_on_what_the_last_one_reads(ends, expected):
    assert features_of(network(*ends)) == expected


def test_a_penalty_is_before_the_dropout_of_the_head():
    ends = [
        layers.Flatten(),
        layers.Dense(6, name="wide"),
        layers.ReLU(name="active"),
        layers.Dropout(0.5),
        layers.Dropout(0.5, name="drop"),
        layers.Dense(5),
    ]
    assert features_of(network(*ends)) == "drop"
    assert place_of(network(*ends)) == "active"
    assert place_of(network(layers.ReLU(name="last"))) == "last"
    # Not what it is before: the head does not see that.
    ends[2] = layers.Activation("relu", name="active")
    assert place_of(network(*ends)) == "active"


def test_a_head_of_convolutions_is_replaced(rng):
    model = network(
        layers.GlobalAveragePooling2D(keepdims=True, name="means"),
        layers.Dropout(0.5),
        layers.Conv2D(5, 1, name="scores"),
        layers.Reshape((5,)),
        layers.Activation("softmax"),
    )
    assert place_of(model) == "means"
    student = with_new_head(model, features_of(model), 3, seed=0)
    assert student.output_shape == (None, 3)
    assert student.get_layer("head").kernel.shape == (4, 3)
    assert "scores" not in [layer.name for layer in student.layers]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV3Small"])
def test_networks_of_keras_are_cut_before_their_scores(name):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(96, 96, 3))
    for place in (features_of(model), place_of(model)):
        assert model.get_layer(place).output.shape == (None, 1, 1, 1024)
    assert isinstance(model.get_layer(features_of(model)), layers.Dropout)


def test_of_maps_a_new_head_sees_the_means():
    model = network()
    student = with_new_head(model, "maps", 3, seed=0)
    assert student.get_layer("head").kernel.shape == (4, 3)
    x = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(
        student.get_layer("pooled")(model(x)),
        np.mean(model(x), axis=(1, 2)),
        rtol=1e-5,
    )
    # A tensor, not a list of one: loaded, it takes what `predict` is given.
    assert not isinstance(student.input, list)


def test_a_head_that_fits_is_kept():
    ends = layers.Flatten(), layers.Dense(3, "softmax", name="own")
    model = network(*ends)
    same = classifier(model, 3, 0, "student")
    assert same.layers[-1].name == "own"
    other = classifier(model, 4, 0, "student")
    assert other.output_shape == (None, 4)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(
    "end",
    [
        [layers.Dense(3, "sigmoid")],
        [layers.Dense(3, "sigmoid"), layers.Reshape((3,))],
        [layers.Dense(3), layers.ReLU(name="read")],
        [layers.Dense(3), layers.Activation("tanh")],
    ],
)
def test_what_is_no_logits_gets_a_new_head(end):
    place = "flat" if end[-1].name == "read" else "read"
    model = network(layers.Flatten(name=place), *end)
    found = classifier(model, 3, 0, "student")
    assert [x.name for x in found.layers[-2:]] == ["read", HEAD]


def test_logits_get_a_softmax():
    model = network(layers.Flatten(), layers.Dense(3))
    found = classifier(model, 3, 0, "student")(np.ones((2, 8, 8, 3)))
    np.testing.assert_allclose(np.sum(found, axis=1), 1.0, rtol=1e-5)


def nested():
    """A network inside another one, as of the page on getting started."""
    inside = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="maps")(inside)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(inside, x, name="backbone")


def in_a_graph():
    inputs = keras.Input((8, 8, 3))
    x = nested()(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(5, "softmax", name="top")(x))


def in_a_chain():
    scaled = keras.Input((8, 8, 3)), layers.Rescaling(1 / 255)
    return keras.Sequential([*scaled, nested(), layers.Dense(5)])


@pytest.mark.parametrize("build", [in_a_graph, in_a_chain])
@pytest.mark.parametrize("is_read", [False, True])
def test_a_network_is_cut_behind_another_one_in_it(
    build, is_read, tmp_path, rng
):
    model = build()
    if is_read:
        model.save(tmp_path / "net.keras")
        model = keras.saving.load_model(tmp_path / "net.keras")
    assert features_of(model) == place_of(model) == "backbone"
    student = with_new_head(model, "backbone", 3, seed=0)
    x = rng.uniform(0.0, 255.0, size=(2, 8, 8, 3)).astype("float32")
    seen = model.get_layer("backbone")(x / 255.0)
    np.testing.assert_allclose(
        student(x), student.layers[-1](seen), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([layers.Dense(5, "softmax")], "inner/gap"),
        ([layers.Dense(5), layers.Softmax()], "inner/gap"),
        ([layers.Dropout(0.1), layers.Dense(5, "softmax")], "inner/gap"),
        ([layers.Dense(5, "relu")], "inner"),
    ],
)
def test_a_network_is_cut_before_the_softmax_of_one_in_it(ends, expected, rng):
    pooling = layers.GlobalAveragePooling2D(name="gap")
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), pooling, *ends],
        name="inner",
    )
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(0.5), inner]
    )
    assert place_of(model) == expected
    student = with_new_head(model, features_of(model), 3, seed=0)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    _, seen = capture(model, x, [expected])
    np.testing.assert_allclose(
        student(x), student.layers[-1](seen[expected]), rtol=1e-4, atol=1e-6
    )


def test_an_inner_network_that_is_a_head_is_replaced():
    head = keras.Sequential([layers.Dense(5, "softmax")], name="top")
    pooling = layers.GlobalAveragePooling2D(name="gap")
    chain = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), pooling, head]
    assert features_of(keras.Sequential(chain)) == "gap"


def test_names_that_a_network_has_are_not_taken_again():
    ends = (
        layers.Dense(4, name=HEAD),
        layers.Conv2D(4, 1, name="pooled"),
        layers.Conv2D(4, 1, name="flat"),
        layers.Conv2D(4, 1, name="last"),
    )
    student = with_new_head(network(*ends), "last", 3, seed=0)
    assert student.output_shape == (None, 3)
    assert student.get_layer(HEAD).units == 4
    assert student.layers[-1].units == 3
    rows = network(*ends, layers.Reshape((4, 36), name="rows"))
    assert with_new_head(rows, "rows", 3, seed=0).output_shape == (None, 3)
    logits = layers.Flatten(name="probabilities"), layers.Dense(3)
    found = classifier(network(*logits), 3, 0, "student")
    assert found.output_shape == (None, 3)
