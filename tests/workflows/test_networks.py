import keras
import numpy as np
import pytest

from keras_otreg import TransferModel
from keras_otreg.data.preprocessing import preparation_for
from keras_otreg.workflows import applications
from keras_otreg.workflows.networks import (
    classifier,
    features_of,
    picture_shape,
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


def test_logits_get_a_softmax():
    model = network(layers.Flatten(), layers.Dense(3))
    found = classifier(model, 3, 0, "student")(np.ones((2, 8, 8, 3)))
    np.testing.assert_allclose(np.sum(found, axis=1), 1.0, rtol=1e-5)


def test_what_takes_no_pictures_is_refused():
    model = keras.Sequential([keras.Input((7,)), layers.Dense(2)])
    with pytest.raises(OSError, match=r"\(None, 7\)"):
        picture_shape(model, 8)
    many = keras.Sequential([keras.Input((8, 8, 5)), layers.Flatten()])
    with pytest.raises(OSError, match="1 or 3 channels"):
        picture_shape(many, 8)
    x = keras.Input((8, 8, 3))
    two = keras.Model(x, [layers.Flatten()(x), layers.Conv2D(1, 1)(x)])
    with pytest.raises(OSError, match="has 2 outputs: expected one"):
        picture_shape(two, 8)
    free = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(1, 1)])
    assert picture_shape(free, 96) == (96, 96, 1)


def test_of_a_transfer_model_the_student_is_asked_for():
    model = TransferModel(network(layers.Flatten(), layers.Dense(2)))
    with pytest.raises(
        OSError, match=r"student transfer_model is a .*`model\.student"
    ):
        picture_shape(model, 8, "student")


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121"])
def test_preprocessing_is_the_same_for_all_pixels(name, rng):
    preprocess = preparation_for(name).function
    kernel, bias = applications._scaling(preprocess)
    x = rng.uniform(0, 255, size=(2, 3, 3, 3)).astype("float32")
    np.testing.assert_allclose(
        x @ kernel + bias, preprocess(x.copy()), rtol=1e-4, atol=1e-3
    )


def test_a_network_of_keras_takes_pictures_as_they_are(rng):
    build = keras.applications.MobileNetV2
    keras.utils.set_random_seed(0)
    own = build(include_top=False, weights=None, input_shape=(32, 32, 3))
    model = applications._of_pictures(build, own)
    x = rng.uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    seen = preparation_for(build).function(x.copy())
    expected = np.mean(own(seen), axis=(1, 2))
    np.testing.assert_allclose(model(x), expected, rtol=1e-3, atol=1e-6)
    assert model.layers[-1].name == "avg_pool"
    assert not model.get_layer("preprocessing").trainable


def test_a_network_that_scales_pixels_itself_is_taken_as_it_is(rng):
    """With weights EfficientNet has a layer more than without."""
    inputs = keras.Input((32, 32, 3))
    seen = keras.layers.Rescaling([2.0, 3.0, 4.0])(inputs)
    known = keras.Model(inputs, keras.layers.Conv2D(4, 3)(seen))
    build = keras.applications.EfficientNetB0
    model = applications._of_pictures(build, known)
    x = rng.uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    expected = np.mean(known(x), axis=(1, 2))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)
    assert model.layers[-1].name == "avg_pool"


def test_a_download_that_fails_is_told_with_a_way_out(monkeypatch):
    def fail(**settings):
        raise Exception("URL fetch failure on https://example.org")

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", fail)
    with pytest.raises(OSError, match="efficientnet-lite0") as error:
        applications.application("mobilenet-v3-small", 32)
    assert "cannot download the ImageNet weights" in str(error.value)
    assert applications.application("other", 32) is None
