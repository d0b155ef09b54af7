import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_otreg.data import Splits, few_shot, load

DENSE = keras.layers.Dense(2)
SETS = {
    "stanford_dogs": (120, "train test"),
    "caltech_birds2011": (200, "train test"),
    "cars196": (196, "train test"),
    "food101": (101, "train validation"),
    "oxford_flowers102": (102, "train validation test"),
    "oxford_iiit_pet": (37, "train test"),
    "caltech101": (102, "train test"),
    "cifar10": (10, "train test"),
    "cifar100": (100, "train test"),
    "dtd": (47, "train validation test"),
    "eurosat": (10, "train"),
}


@pytest.fixture
def loaded(numbers):
    """Loads a set of numbered pictures."""

    def load_numbers(name, *arguments, **settings):
        name = f"otreg_test_numbers/{name}"
        return load(name, *arguments, data_dir=numbers, **settings)

    return load_numbers


def read(data):
    """The numbers of pictures and their labels."""
    pairs = [(x.numpy()[:, 0, 0, 0], y.numpy()) for x, y in data]
    x, y = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return x.astype(int), y


def known_sets(folder, name, splits, size):
    """Writes down what TFDS would know of a set that it has prepared."""
    builder = tfds.builder(name, data_dir=folder)
    template = tfds.core.ShardedFileTemplate(
        dataset_name=builder.name,
        data_dir=builder.data_path,
        filetype_suffix="tfrecord",
    )
    infos = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[size],
            num_bytes=size,
            filename_template=template.replace(split=split),
        )
        for split in splits
    ]
    builder.info.set_splits(tfds.core.splits.SplitDict(infos))
    builder.data_path.mkdir(parents=True)
    builder.info.write_to_directory(builder.data_path)


@pytest.mark.release
@pytest.mark.parametrize("name", SETS)
def test_the_sets_of_the_field_become_three_parts(tmp_path, name):
    classes, splits = SETS[name]
    known_sets(tmp_path, name, splits.split(), 40)
    with tfds.testing.mock_data(num_examples=40, data_dir=tmp_path):
        data = load(name, "ResNet50", (20, 20), 8)
        assert data.num_classes == classes == len(set(data.class_names))
        assert data.info.name == name
        for part in (data.train, data.validation, data.test):
            x, y = next(iter(part))
            assert x.shape == (len(y), 20, 20, 3)
            assert x.dtype == tf.float32
            assert y.dtype == tf.int32
            assert part.class_names == data.class_names
            # ResNet's means are taken off.
            assert -124 < tf.reduce_min(x) < -50


@pytest.mark.release
def test_the_splits_of_a_set_are_kept(loaded):
    data = loaded("complete")
    assert isinstance(data, Splits)
    for part, start, size in (
        (data.train, 0, 60),
        (data.validation, 100, 15),
        (data.test, 200, 30),
    ):
        x, _ = read(part)
        assert sorted(x) == list(range(start, start + size))
        assert len(part) == -(-size // 32)


@pytest.mark.release
@pytest.mark.parametrize("name", ["train_and_validation", "hidden_test"])
def test_a_set_without_labels_to_test_on_is_tested_on_its_validation(
    loaded, name
):
    data = loaded(name)
    x, y = read(data.test)
    assert sorted(x) == list(range(100, 115))
    assert y.min() == 0
    assert read(data.validation)[0].max() < 60


@pytest.mark.release
def test_what_a_set_lacks_is_always_the_same_part_of_its_training_pictures(
    loaded,
):
    first, second = (loaded("train_only", seed=seed) for seed in (0, 1))
    parts = []
    for name, size in (("train", 42), ("validation", 6), ("test", 12)):
        x, y = read(getattr(first, name))
        np.testing.assert_array_equal(y, x % 3)
        np.testing.assert_array_equal(np.bincount(y), [size // 3] * 3)
        again, _ = read(getattr(second, name))
        assert set(x) == set(again)
        parts.append(x)
    assert sorted(np.concatenate(parts)) == list(range(60))


@pytest.mark.release
def test_shots_are_drawn_from_the_training_pictures_alone(loaded):
    whole = loaded("train_and_test")
    draws = [loaded("train_and_test", shots=4, seed=s) for s in (0, 0, 1)]
    for data in draws:
        x, y = read(data.train)
        np.testing.assert_array_equal(np.bincount(y), [4] * 3)
        assert set(x) < set(read(whole.train)[0])
        for name in ("validation", "test"):
            part, expected = (read(getattr(z, name))[0] for z in (data, whole))
            np.testing.assert_array_equal(part, expected)
    first, again, other = (set(read(data.train)[0]) for data in draws)
    assert first == again
    assert first != other


@pytest.mark.slow
def test_a_fraction_is_one_of_each_class(loaded):
    _, y = read(loaded("complete", fraction=0.3).train)
    np.testing.assert_array_equal(np.bincount(y), [6] * 3)


@pytest.mark.release
def test_training_pictures_come_in_new_orders_and_others_do_not(loaded):
    data = loaded("complete", seed=1)
    first, second = read(data.train)[0], read(data.train)[0]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.sort(first))
    again = read(loaded("complete", seed=1).train)[0]
    np.testing.assert_array_equal(first, again)
    for part in (data.validation, data.test):
        np.testing.assert_array_equal(read(part)[0], read(part)[0])


@pytest.mark.release
def test_only_training_pictures_are_augmented_before_they_are_prepared(loaded):
    black = [keras.layers.RandomFlip(), keras.layers.Rescaling(0.0)]
    data = loaded("complete", lambda x: x + 1.0, augmentation=black)
    assert set(read(data.train)[0]) == {1}
    assert sorted(read(data.validation)[0]) == list(range(101, 116))


@pytest.mark.release
def test_no_layers_are_no_augmentation(loaded):
    first, second = (
        next(iter(loaded("complete", augmentation=x).validation))[0]
        for x in ([], None)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.release
def test_augmentation_is_another_in_each_epoch(loaded):
    bright = keras.layers.RandomBrightness(0.5)
    data = loaded("complete", augmentation=bright)
    first, second = (np.sort(read(data.train)[0]) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.release
def test_pictures_have_the_size_that_is_asked_for_or_their_own(loaded):
    sizes = (
        ((), (6, 8)),
        ((lambda x: x,), (6, 8)),
        ((None, (3, 5)), (3, 5)),
        (("InceptionV3",), (299, 299)),
        (("InceptionV3", (75, 75)), (75, 75)),
    )
    for arguments, size in sizes:
        data = loaded("complete", *arguments)
        assert data.test.element_spec[0].shape == (None, *size, 3)


@pytest.mark.release
def test_grey_pictures_become_coloured_for_networks_that_want_it(tmp_path):
    pytest.importorskip("skimage")
    grey = load("otreg_textures", data_dir=tmp_path)
    assert next(iter(grey.test))[0].shape == (32, 64, 64, 1)
    data = load("otreg_textures", "efficientnet-lite0", data_dir=tmp_path)
    x, _ = next(iter(data.test))
    assert x.shape == (32, 224, 224, 3)
    np.testing.assert_array_equal(x[..., 0], x[..., 2])


def test_our_sets_are_known_to_tfds_once_the_data_are_imported():
    # Nothing here imports the builders themselves.
    for name in ("letters", "mnist5k", "optdigits", "textures"):
        assert tfds.builder_cls(f"otreg_{name}").name == f"otreg_{name}"


@pytest.mark.release
def test_what_is_loaded_trains_a_model_and_gives_few_shots(loaded):
    data = loaded("complete", lambda x: x / 255, batch_size=7)
    model = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(data.num_classes)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(data.train, validation_data=data.validation, verbose=0)
    few, others = few_shot(data.test, 2)
    assert len(few.y) == 6
    assert len(others.y) == 24


def test_an_unknown_set_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"Near matches: \['stanford_dogs'"):
        load("standford_dogs")
    with pytest.raises(ValueError, match="BuilderConfig green not found"):
        load("eurosat/green")


def test_a_set_of_something_else_is_refused(loaded):
    with pytest.raises(ValueError, match="pictures with one label each"):
        load("imdb_reviews")
    with pytest.raises(ValueError, match=r"a split 'train'.*\['test'\]"):
        loaded("test_only")


def test_a_set_that_cannot_be_downloaded_is_answered_with_what_helps(
    tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match="no route to host") as error:
        load("eurosat", data_dir=tmp_path)
    message = str(error.value)
    assert f"{tmp_path}/eurosat/rgb/2.0.0" in message
    assert f"{tmp_path}/downloads/manual" in message
    assert "`data_dir=`, the folder that holds eurosat/rgb/2.0.0" in message
    assert "under the names that the files have on the server" in message


def test_a_set_that_wants_hands_says_what_they_have_to_do(tmp_path):
    with pytest.raises(OSError, match="Manual directory") as error:
        load("imagenet2012", data_dir=tmp_path)
    assert str(error.value).count("ILSVRC2012_img_train.tar") == 1


def test_a_package_that_is_missing_is_named_without_more(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(ImportError, match=r"keras-otreg\[data\]"):
        load("otreg_textures", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": 2, "fraction": 0.5}, "not both"),
        ({"shots": 0}, "`shots`"),
        ({"shots": 19}, "smallest class"),
        ({"fraction": 0.0}, "`fraction`"),
        ({"fraction": 1.5}, "`fraction`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"image_size": 32}, r"\(height, width\)"),
        ({"image_size": (32, 0)}, r"\(height, width\)"),
        ({"image_size": (32, 32, 3)}, r"\(height, width\)"),
        ({"crop_to_aspect_ratio": "yes"}, "`crop_to_aspect_ratio`"),
        ({"augmentation": [np.flip]}, "`augmentation`"),
        ({"augmentation": "flip"}, "`augmentation`"),
        ({"network": lambda x: tf.reduce_mean(x, (1, 2))}, "no preprocessing"),
        ({"network": lambda x: (x, x)}, "no preprocessing"),
        (
            {"network": keras.Sequential([keras.Input((2,)), DENSE])},
            "no preprocessing",
        ),
    ],
)
def test_wrong_arguments_are_refused(loaded, settings, message):
    with pytest.raises(ValueError, match=message):
        loaded("train_and_test", **settings)
