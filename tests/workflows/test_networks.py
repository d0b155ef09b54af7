import keras
import numpy as np
import pytest

from keras_otreg import TransferModel
from keras_otreg.data.preprocessing import preparation_for
from keras_otreg.workflows import networks
from keras_otreg.workflows.networks import picture_shape

layers = keras.layers


def network(*ends):
    inputs = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="maps")]
    return keras.Sequential([*inputs, *ends])


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
    kernel, bias = networks._scaling(preprocess)
    x = rng.uniform(0, 255, size=(2, 3, 3, 3)).astype("float32")
    np.testing.assert_allclose(
        x @ kernel + bias, preprocess(x.copy()), rtol=1e-4, atol=1e-3
    )


@pytest.mark.slow
def test_a_network_of_keras_takes_pictures_as_they_are(rng):
    # It has few layers, and wants its channels in another order.
    build = keras.applications.VGG16
    keras.utils.set_random_seed(0)
    own = build(include_top=False, weights=None, input_shape=(32, 32, 3))
    model = networks._of_pictures(build, own)
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
    model = networks._of_pictures(build, known)
    x = rng.uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    expected = np.mean(known(x), axis=(1, 2))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)
    assert model.layers[-1].name == "avg_pool"


def test_a_download_that_fails_is_told_with_a_way_out(monkeypatch):
    def fail(**settings):
        raise Exception("URL fetch failure on https://example.org")

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", fail)
    with pytest.raises(OSError, match="efficientnet-lite0") as error:
        networks.application("mobilenet-v3-small", 32)
    assert "cannot download the ImageNet weights" in str(error.value)
    assert networks.application("other", 32) is None
