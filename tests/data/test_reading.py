import os
import pathlib
import warnings

import keras
import numpy as np
import pytest

from keras_otreg.data import image_folder, picture_files

HUES = {"green": (0, 200, 0), "red": (200, 0, 0)}


def write(path, colour, shape=(12, 10, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full(shape, colour, "uint8")
    keras.utils.save_img(path, picture, scale=False)


@pytest.fixture
def folder(tmp_path):
    """Five pictures of each colour."""
    for name, colour in HUES.items():
        for number in range(5):
            write(tmp_path / name / f"{number}.png", colour)
    return tmp_path


@pytest.fixture
def broken(folder):
    """Two files that are no pictures: noise, and half a picture."""
    (folder / "green" / "noise.jpg").write_bytes(b"not a picture")
    write(folder / "red" / "half.jpg", 90, (64, 64, 3))
    half = (folder / "red" / "half.jpg").read_bytes()[:400]
    (folder / "red" / "half.jpg").write_bytes(half)
    return folder


def labels(data):
    return np.concatenate([y for _, y in data])


def test_pictures_come_in_batches_with_the_numbers_of_their_classes(folder):
    data = image_folder(folder, (8, 8), 4)
    assert data.class_names == ["green", "red"]
    assert len(data) == 3
    for x, y in data:
        assert x.shape == (len(y), 8, 8, 3)
        assert x.dtype == "float32"
        assert y.dtype == "int32"
        expected = np.array([HUES[data.class_names[i]] for i in y])
        np.testing.assert_allclose(x[:, 4, 4], expected)


def test_labels_are_those_of_classes_that_are_known(folder):
    names = ["blue", "red", "green"]
    data = image_folder(folder, (8, 8), class_names=names, shuffle=False)
    assert data.class_names == names
    for x, y in data:
        assert y.dtype == "int32"
        expected = np.array([HUES[names[i]] for i in y])
        np.testing.assert_allclose(x[:, 4, 4], expected)
    for path in (folder / "green").iterdir():
        path.unlink()
    (folder / "green").rmdir()
    data = image_folder(folder, (8, 8), class_names=names)
    np.testing.assert_array_equal(labels(data), np.ones(5))


def test_classes_that_are_not_known_are_named(folder):
    with pytest.raises(ValueError, match=r"\['red'\] beside them"):
        image_folder(folder, class_names=["green", "blue"])


def test_a_seed_gives_the_order_and_each_epoch_another(folder):
    data = image_folder(folder, (8, 8), seed=1)
    first, second = labels(data), labels(data)
    again = labels(image_folder(folder, (8, 8), seed=1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_without_shuffling_pictures_come_by_name(folder):
    data = image_folder(str(folder), (8, 8), shuffle=False)
    np.testing.assert_array_equal(labels(data), np.repeat([0, 1], 5))
    paths = [pathlib.Path(path) for path in data.file_paths]
    assert paths == sorted(folder.rglob("*.png"))


def test_unreadable_files_are_named_and_left_out(broken):
    with pytest.warns(UserWarning, match=r"noise\.jpg.*half\.jpg") as found:
        data = image_folder(broken, (8, 8), 4, shuffle=False)
    assert len(found) == 1
    assert "0.png" not in str(found[0].message)
    np.testing.assert_array_equal(labels(data), np.repeat([0, 1], 5))
    assert len(data) == 3
    assert len(data.file_paths) == 10


def test_files_of_another_kind_are_named_too(folder):
    (folder / "red" / "photo.webp").write_bytes(b"RIFF")
    (folder / "red" / "notes.txt").write_text("beautiful")
    (folder / "red" / ".DS_Store").write_bytes(b"hidden")
    (folder / "README.md").write_text("not in a class")
    with pytest.warns(UserWarning, match="Left out") as found:
        data = image_folder(folder, (8, 8))
    message = str(found[0].message)
    assert message.endswith(
        f"decoded: {folder}/red/photo.webp; files that have no suffix of a "
        f"picture: {folder}/red/notes.txt"
    )
    assert len(data.file_paths) == 10


@pytest.mark.parametrize("read", [image_folder, picture_files])
def test_one_warning_names_all_that_is_no_picture_of_a_class(folder, read):
    (folder / "red" / "gone.png").symlink_to(folder / "nowhere.png")
    write(folder / "stray.png", 90)
    (folder / "blue").mkdir()
    with pytest.warns(UserWarning, match="Left out") as found:
        data = read(folder)
    assert str(found[0].message) == (
        f"Left out files that cannot be decoded: {folder}/red/gone.png; "
        f"folders without pictures: {folder}/blue; "
        f"pictures outside of the folders of classes: {folder}/stray.png"
    )
    assert len(found) == 1
    paths = data.file_paths if read is image_folder else data.paths
    assert len(paths) == 10


def test_parts_are_not_taken_for_classes(folder):
    (folder / "green").rename(folder / "train")
    (folder / "red").rename(folder / "Validation")
    with pytest.raises(ValueError, match=r"parts of a data set.*one by one"):
        image_folder(folder)


def oddly_named(folder, suffix):
    """A path that is no UTF-8."""
    name = b"/caf\xe9" + os.fsencode(suffix)
    path = pathlib.Path(os.fsdecode(os.fsencode(folder) + name))
    try:
        path.touch()
    except OSError:
        pytest.skip("the file system has no such names")
    return path


def test_a_picture_whose_name_is_no_text_is_left_out_and_named(folder):
    write(oddly_named(folder / "red", ".png"), 90)
    with pytest.warns(UserWarning, match=r"not UTF-8: .*caf\\xe9\.png"):
        data = image_folder(folder)
    assert len(data.file_paths) == 10


def test_readable_files_pass_without_a_word(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(folder, (8, 8))


def test_margins_are_lost_rather_than_proportions(folder):
    wide = np.zeros((10, 30, 3), "uint8")
    wide[:, 10:20] = 255
    keras.utils.save_img(folder / "green" / "0.png", wide, scale=False)
    for crop, mean in ((True, 255.0), (False, 85.0)):
        data = image_folder(
            folder, (9, 9), shuffle=False, crop_to_aspect_ratio=crop
        )
        x, _ = next(iter(data))
        assert np.mean(x[0]) == pytest.approx(mean, abs=20.0)


def test_one_class_is_not_enough(tmp_path, broken):
    with pytest.raises(ValueError, match="an existing folder"):
        image_folder(tmp_path / "nowhere")
    write(tmp_path / "a" / "red" / "0.png", 255)
    with pytest.raises(ValueError, match=r"1 such folders.*a/red' meant"):
        image_folder(tmp_path / "a")
    (tmp_path / "a" / "blue").mkdir()
    (tmp_path / "a" / "blue" / "0.png").write_bytes(b"not a picture")
    with (
        pytest.warns(UserWarning, match="blue/0.png.*pictures: .*blue"),
        pytest.raises(ValueError, match=r"1 such folders: \['red'\]"),
    ):
        image_folder(tmp_path / "a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": (0, 3)},
        {"image_size": 8},
        {"image_size": (8, 8, 3)},
        {"image_size": (8.0, 8)},
        {"image_size": "88"},
        {"batch_size": 0},
        {"seed": -1},
    ],
    ids=str,
)
def test_sizes_that_are_none_are_refused(folder, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}`"):
        image_folder(folder, **wrong)


def test_links_and_hidden_folders_are_no_pictures_of_a_class(folder):
    hidden = folder / "red" / ".ipynb_checkpoints"
    hidden.mkdir()
    write(hidden / "0-checkpoint.png", 90)
    write(folder / "__MACOSX" / "._0.png", 90)
    (folder / "red" / "loop").symlink_to(folder)
    for read in (image_folder, picture_files):
        with pytest.warns(UserWarning, match="links.*red/loop") as found:
            data = read(folder)
        assert "without pictures: " + str(folder / "__MACOSX") in str(
            found[0].message
        )
        paths = data.file_paths if read is image_folder else data.paths
        assert len(paths) == 10
        assert data.class_names == ["green", "red"]


def test_a_long_list_of_files_is_cut_short(folder):
    for number in range(30):
        (folder / "red" / f"{number}.txt").touch()
    with pytest.warns(UserWarning, match=r"\.txt and 10 more$"):
        image_folder(folder)
