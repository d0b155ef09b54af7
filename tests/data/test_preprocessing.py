import inspect
import re

import keras
import numpy as np
import pytest

from keras_otreg.data import efficientnet_lite0, preprocessing
from keras_otreg.data.preprocessing import preparation_for

APPLICATIONS = [
    name
    for name, value in vars(keras.applications).items()
    if inspect.isfunction(value)
]


@pytest.fixture
def pictures(rng):
    return rng.uniform(0, 255, (2, 4, 4, 3)).astype("float32")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_size_of_every_network_of_keras_is_known(name):
    side = preparation_for(name).size[0]
    # It can be run at any size: Keras asks for none.
    if name.startswith("MobileNetV3"):
        assert side == 224
        return
    # Before it makes or loads anything, Keras complains of another size.
    build = getattr(keras.applications, name)
    expected = re.escape(f"should be ({side}, {side}, 3)")
    with pytest.raises(ValueError, match=expected):
        build(weights="imagenet", input_shape=(9, 9, 3))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ResNet50", "resnet"),
        ("resnet152v2", "resnet_v2"),
        ("MobileNetV3Small", "mobilenet_v3"),
        ("DenseNet121", "densenet"),
        ("vgg16", "vgg16"),
        ("NASNetMobile", "nasnet"),
        ("inception_v3", "inception_v3"),
    ],
)
def test_a_network_gets_the_preprocessing_of_its_module(pictures, name, module):
    module = getattr(keras.applications, module)
    expected = module.preprocess_input(pictures.copy())
    for network in (name, module):
        found = preparation_for(network).function(pictures.copy())
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_network_is_meant_by_itself_too():
    by_name = preparation_for("EfficientNetB3")
    itself = preparation_for(keras.applications.EfficientNetB3)
    assert by_name.size == itself.size == (300, 300)
    assert by_name.channels == itself.channels == 3


def test_a_module_of_one_network_has_its_size():
    for name in ("xception", "inception_v3", "inception_resnet_v2"):
        module = getattr(keras.applications, name)
        assert preparation_for(module).size == (299, 299)
    assert preparation_for("efficientnet").size == (224, 224)


def test_lite0_scales_its_pictures_itself(pictures):
    for network in ("efficientnet-lite0", efficientnet_lite0):
        found = preparation_for(network)
        assert found.size == (224, 224)
        np.testing.assert_array_equal(found.function(pictures), pictures)


def test_a_function_is_taken_as_it_is(pictures):
    found = preparation_for(lambda x: x / 255)
    np.testing.assert_allclose(found.function(pictures), pictures / 255)
    assert found.size is None
    assert found.channels is None


def test_nothing_is_done_for_no_network(pictures):
    found = preparation_for(None)
    np.testing.assert_array_equal(found.function(pictures), pictures)


def test_preprocessing_works_in_a_graph_on_every_backend(pictures, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    expected = keras.applications.resnet.preprocess_input(pictures.copy())
    for backend in ("tensorflow", "jax"):
        monkeypatch.setattr(keras.backend, "backend", lambda b=backend: b)
        function = preprocessing.preparation_for("ResNet50").function
        data = tf.data.Dataset.from_tensors(pictures).map(function)
        assert data.element_spec.shape == pictures.shape
        np.testing.assert_allclose(next(iter(data)), expected, rtol=1e-5)
        preprocessing._networks.cache_clear()


@pytest.mark.parametrize("network", ["ResNet5O", "imagenet_utils", ""])
def test_an_unknown_network_is_refused(network):
    with pytest.raises(ValueError, match="Expected 'efficientnet-lite0'"):
        preparation_for(network)


def test_a_misspelt_network_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"Near matches: \['EfficientNetB0'"):
        preparation_for("efficientnet-b0")


@pytest.mark.parametrize("network", [3, ["ResNet50"], keras.layers.Rescaling])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValueError, match="a function of pictures, or None"):
        preparation_for(network)
