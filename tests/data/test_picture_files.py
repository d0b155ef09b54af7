"""Which pictures there are in a folder, and which are for what."""

import os
import pathlib

import keras
import numpy as np
import pytest

from keras_otreg.data import (
    draw_pictures,
    image_folder,
    picture_files,
    picture_parts,
    read_pictures,
)


def write(folder, counts, rng):
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            picture = rng.integers(0, 255, size=(6, 7, 3))
            keras.utils.save_img(folder / name / f"{k:02}.png", picture)


@pytest.fixture
def folder(tmp_path, rng):
    write(tmp_path / "all", {"cats": 10, "dogs": 15}, rng)
    return tmp_path / "all"


def test_a_fifth_of_each_class_is_set_aside_twice(folder):
    parts = picture_parts(folder)
    counts = {part: files.counts() for part, files in parts.items()}
    assert counts == {
        "train": {"cats": 6, "dogs": 9},
        "validation": {"cats": 2, "dogs": 3},
        "test": {"cats": 2, "dogs": 3},
    }
    paths = [path for files in parts.values() for path in files.paths]
    assert len(set(paths)) == 25


def test_the_seed_decides_what_is_set_aside(folder):
    paths = [picture_parts(folder, seed)["test"].paths for seed in (0, 0, 1)]
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


def test_parts_that_are_there_are_taken_as_they_are(tmp_path, rng):
    for part in ("train", "val", "test"):
        write(tmp_path / part, {"cats": 5, "dogs": 5}, rng)
    parts = picture_parts(tmp_path)
    for part, name in (("train", "train"), ("validation", "val")):
        assert len(parts[part].paths) == 10
        assert all(f"/{name}/" in path for path in parts[part].paths)


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Valid", "TEST"),
        ("Training", "Testing"),
        ("train_set", "dev", "holdout"),
        ("train2017", "EvalImages"),
    ],
)
def test_usual_names_of_parts_are_understood(tmp_path, rng, names):
    for number, name in enumerate(names):
        write(tmp_path / name, {"cats": 5 + number, "dogs": 5}, rng)
    parts = picture_parts(tmp_path)
    assert parts["train"].class_names == ["cats", "dogs"]
    assert parts["test"].counts()["cats"] == 4 + len(names)


def test_parts_are_not_taken_for_classes(tmp_path, rng):
    write(tmp_path, {"Train": 3, "Validation": 3}, rng)
    with pytest.raises(
        ValueError, match=r"Validation'.*parts of a data set.*`picture_parts`"
    ):
        picture_files(tmp_path)


def test_two_folders_for_one_part_are_refused(tmp_path, rng):
    for part in ("train", "val", "valid"):
        write(tmp_path / part, {"cats": 5, "dogs": 5}, rng)
    with pytest.raises(ValueError, match="'val' and 'valid'.*validation"):
        picture_parts(tmp_path)


def test_a_folder_that_is_no_part_is_named(tmp_path, rng):
    for part in ("train", "extra"):
        write(tmp_path / part, {"cats": 5, "dogs": 5}, rng)
    write(tmp_path, {"test": 2}, rng)
    with pytest.warns(UserWarning, match="no part.*extra, .*test"):
        parts = picture_parts(tmp_path)
    assert sum(len(x.paths) for x in parts.values()) == 10
    with pytest.raises(ValueError, match="train.*parts of a data set"):
        image_folder(tmp_path)


def test_parts_within_classes_are_refused(tmp_path, rng):
    for name in ("cats", "dogs"):
        write(tmp_path / name, {"train": 3, "test": 3}, rng)
    with pytest.raises(ValueError, match=r"cats' with the parts.*<class>"):
        picture_parts(tmp_path)


def test_equal_folders_in_all_classes_are_told(tmp_path, rng):
    for name in ("learn", "exam"):
        write(tmp_path / name, {"cats": 3, "dogs": 3}, rng)
    with pytest.warns(UserWarning, match="Took the folders.*'cats', 'dogs'"):
        picture_files(tmp_path)


def test_names_that_are_given_are_those_of_classes(tmp_path, rng):
    write(tmp_path, {"test": 2, "train": 2}, rng)
    files = picture_files(tmp_path, ["test", "train"])
    assert files.counts() == {"test": 2, "train": 2}


def test_a_class_may_be_called_train(tmp_path, rng):
    write(tmp_path, {"bus": 10, "train": 10}, rng)
    parts = picture_parts(tmp_path)
    assert parts["train"].counts() == {"bus": 6, "train": 6}


def test_only_what_is_missing_is_set_aside(tmp_path, rng):
    write(tmp_path / "train", {"cats": 10, "dogs": 10}, rng)
    write(tmp_path / "test", {"dogs": 2}, rng)
    parts = picture_parts(tmp_path)
    assert parts["validation"].counts() == {"cats": 2, "dogs": 2}
    # Labels are those of the classes that are trained.
    assert parts["test"].counts() == {"cats": 0, "dogs": 2}


def test_classes_that_are_not_trained_are_named(tmp_path, rng):
    write(tmp_path / "train", {"cats": 5, "dogs": 5}, rng)
    write(tmp_path / "test", {"cats": 2, "emus": 2}, rng)
    with pytest.raises(ValueError, match="emus"):
        picture_parts(tmp_path)


def test_test_pictures_alone_are_not_enough(tmp_path, rng):
    write(tmp_path / "test", {"cats": 5, "dogs": 5}, rng)
    with pytest.raises(ValueError, match="none is named like training data"):
        picture_parts(tmp_path)


def test_too_few_pictures_to_set_some_aside_are_counted(tmp_path, rng):
    write(tmp_path, {"cats": 2, "dogs": 9}, rng)
    with pytest.raises(ValueError, match="cats has 2"):
        picture_parts(tmp_path)


def test_two_pictures_are_enough_to_set_one_aside(tmp_path, rng):
    for part in ("train", "test"):
        write(tmp_path / part, {"cats": 2, "dogs": 2}, rng)
    parts = picture_parts(tmp_path)
    for part in ("train", "validation"):
        assert parts[part].counts() == {"cats": 1, "dogs": 1}


def test_a_folder_of_one_class_is_refused(tmp_path, rng):
    write(tmp_path, {"cats": 9}, rng)
    with pytest.raises(ValueError, match="at least two classes"):
        picture_files(tmp_path)


def test_a_file_whose_name_is_no_text_is_left_out(folder):
    picture = next((folder / "cats").iterdir()).read_bytes()
    name = os.fsdecode(os.fsencode(folder / "cats") + b"/caf\xe9.png")
    try:
        pathlib.Path(name).write_bytes(picture)
    except OSError:
        pytest.skip("the file system has no such names")
    with pytest.warns(UserWarning, match=r"caf\\xe9\.png"):
        files = picture_files(folder)
    assert files.counts() == {"cats": 10, "dogs": 15}
    assert len(next(iter(read_pictures(files, (4, 4))))[0]) == 25


def test_unreadable_hidden_and_other_files_are_left_out(folder):
    (folder / "cats" / "notes.txt").write_text("not a picture")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "0.png").write_bytes(b"")
    (folder / "dogs" / "broken.JPG").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="broken.JPG"):
        files = picture_files(folder)
    assert files.counts() == {"cats": 10, "dogs": 15}


def test_a_folder_without_any_readable_picture_says_so(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.png").write_bytes(b"nothing")
    with (
        pytest.warns(UserWarning, match="broken.png"),
        pytest.raises(ValueError, match="0 such folders"),
    ):
        picture_files(tmp_path)


def test_a_draw_has_equally_many_of_each_class(folder):
    files = picture_files(folder)
    few = draw_pictures(files, 4, seed=1)
    assert few.counts() == {"cats": 4, "dogs": 4}
    assert few.paths == draw_pictures(files, 4, seed=1).paths
    assert few.paths != draw_pictures(files, 4, seed=2).paths
    with pytest.raises(ValueError, match="class, 10 of 'cats'"):
        draw_pictures(files, 11)


def test_pictures_are_read_as_image_folder_reads_them(folder):
    expected = image_folder(folder, (5, 4), 8, shuffle=False)
    found = read_pictures(picture_files(folder), (5, 4), 8)
    for (x, y), (other, label) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(x, other)
        np.testing.assert_array_equal(y, label)


def test_mirrors_and_orders_follow_the_seed(folder):
    files = picture_files(folder)

    def passes(seed):
        data = read_pictures(
            files, (5, 4), 25, shuffle=True, mirror=True, seed=seed
        )
        return [next(iter(data))[0].numpy() for _ in range(2)]

    first, second = passes(0), passes(0)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])
    # Each is there once, as it is or as in a mirror.
    still = next(iter(read_pictures(files, (5, 4), 25)))[0].numpy()
    for picture in first[0]:
        same = [np.allclose(x, picture, atol=1e-3) for x in still]
        turned = [np.allclose(x[:, ::-1], picture, atol=1e-3) for x in still]
        assert sum(same) + sum(turned) == 1
    assert any(
        np.allclose(x[:, ::-1], y, atol=1e-3) for x in still for y in first[0]
    )


def test_grey_pictures_have_one_channel(folder):
    data = read_pictures(picture_files(folder), (5, 4), channels=1)
    assert data.element_spec[0].shape[1:] == (5, 4, 1)


def test_a_seed_is_a_whole_number(folder):
    with pytest.raises(ValueError, match="`seed`.*at least 0"):
        picture_parts(folder, seed=-1)
    with pytest.raises(ValueError, match="`seed`.*at least 0"):
        draw_pictures(picture_files(folder), 2, seed=-1)
