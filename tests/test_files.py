import zipfile

import pytest

from keras_otreg.files import in_its_place, is_damaged, seal, whole


def test_a_file_is_put_in_its_place_when_it_is_done(tmp_path):
    path = tmp_path / "table.csv"
    with whole(path) as unfinished:
        assert unfinished.suffix == ".csv"
        unfinished.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_is_what_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail():
        with whole(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_seal_tells_whether_anything_before_it_was_changed(tmp_path):
    path = tmp_path / "a.weights.h5"
    content = bytes(range(256)) * 9000
    path.write_bytes(content)
    assert not is_damaged(path)
    seal(path)
    sealed = path.read_bytes()
    assert sealed.startswith(content)
    assert not is_damaged(path)
    for place in (0, 255, len(content) - 1, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert is_damaged(path)


def test_nothing_is_known_of_what_is_elsewhere_absent_or_empty(tmp_path):
    (tmp_path / "empty").touch()
    for path in ("empty", "absent", "absent.keras", "."):
        assert not is_damaged(tmp_path / path)
    assert not is_damaged("gs://bucket/model.keras")
    assert not is_damaged(None)


def test_an_archive_has_checksums_of_its_own(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "a" * 99)
    assert not is_damaged(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"aa", b"ab", 1))
    assert is_damaged(path)
    path.write_bytes(content[:-5])
    assert is_damaged(path)


@pytest.mark.parametrize(
    ("path", "overwrite", "suffix"),
    [
        ("gs://bucket/a.keras", True, ".keras"),
        ("folder", True, ".keras"),
        ("a.weights.h5", True, None),
        ("there.keras", False, ".keras"),
    ],
)
def test_what_is_not_one_new_local_file_is_left_to_keras(
    tmp_path, path, overwrite, suffix
):
    (tmp_path / "there.keras").touch()
    path = path if "://" in path else tmp_path / path
    with in_its_place(path, overwrite, suffix) as given:
        assert given is path
    with in_its_place(tmp_path / "there.keras", True, ".keras") as given:
        assert given.parent == tmp_path
        assert given.suffix == ".keras"
        given.write_text("new")
    assert (tmp_path / "there.keras").read_text() == "new"
