import pytest

from keras_otreg.files import whole


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
