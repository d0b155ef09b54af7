import errno
import json
import os
import pathlib

import numpy as np
import pytest

from keras_otreg.data.samples import in_memory, is_written, read, write

KEY = {"samples": "these", "layers": ["a"]}


@pytest.fixture
def batches(rng):
    """Batches of a column of maps, one of labels, and a half of each."""
    sizes = (3, 3, 1)
    return [
        [
            rng.normal(size=(n, 2, 2)).astype("float16"),
            rng.integers(0, 5, size=n),
            rng.normal(size=(n, 3)) > 0,
        ]
        for n in sizes
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "caches" / "here"


def test_what_is_written_is_what_is_kept_in_memory(batches, folder):
    assert not is_written(folder)
    write(folder, iter(batches), lambda: KEY)
    assert is_written(folder)
    for found, expected in zip(
        read(folder, KEY), in_memory(iter(batches)), strict=True
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert [path.name for path in folder.parent.iterdir()] == ["here"]


def test_bfloat16_keeps_its_type(folder):
    column = np.arange(4, dtype="float32").astype("bfloat16")[:, None]
    write(folder, [[column]], lambda: KEY)
    (found,) = read(folder, KEY)
    assert found.dtype == column.dtype
    np.testing.assert_array_equal(found, column)


def test_an_error_on_the_way_leaves_nothing_behind(batches, folder):
    def broken():
        yield batches[0]
        raise RuntimeError("out of disk")

    with pytest.raises(RuntimeError, match="out of disk"):
        write(folder, broken(), lambda: KEY)
    assert list(folder.parent.iterdir()) == []


def test_what_a_killed_process_leaves_is_no_cache(batches, folder):
    leftover = folder.with_name("here.abc.unfinished") / "here"
    leftover.mkdir(parents=True)
    (leftover / "column_0.bin").write_bytes(b"half")
    assert not is_written(folder)
    write(folder, batches, lambda: KEY)
    assert len(read(folder, KEY)) == 3


def test_of_two_that_write_at_once_the_first_stays(batches, folder):
    def key():
        write(folder, batches, lambda: {"samples": "of the other"})
        return KEY

    write(folder, batches, key)
    with pytest.raises(ValueError, match="of the other"):
        read(folder, KEY)
    assert len(list(folder.parent.iterdir())) == 1


def test_a_cache_of_something_else_is_refused_with_what_differs(
    batches, folder
):
    write(folder, batches, lambda: {**KEY, "layers": ["b"]})
    with pytest.raises(ValueError, match=r"\['a'\].*made with others.*\['b'\]"):
        read(folder, KEY)


def test_damaged_files_and_strange_folders_are_refused(batches, folder):
    write(folder, batches, lambda: KEY)
    column = folder / "column_1.bin"
    content = column.read_bytes()
    changed = bytes([content[0] ^ 1])
    for damaged in (content[:-8], changed + content[1:], content + changed):
        column.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"'column_1.bin' is not what was"):
            read(folder, KEY)
    column.write_bytes(content)
    assert len(read(folder, KEY)) == 3
    column.unlink()
    with pytest.raises(ValueError, match="damaged files"):
        read(folder, KEY)
    with pytest.raises(ValueError, match=r"no 'index.json' in what is there"):
        is_written(folder.parent)


def test_an_index_that_is_not_as_it_was_written_is_refused(batches, folder):
    write(folder, batches, lambda: KEY)
    index = folder / "index.json"
    content = json.loads(index.read_text())
    fewer = {**content, "columns": content["columns"][:-1]}
    other = {**content, "key": None}
    for damaged in ("{", "", "null", '"text"', "[]", "{}", "7", fewer, other):
        is_text = isinstance(damaged, str)
        index.write_text(damaged if is_text else json.dumps(damaged))
        with pytest.raises(ValueError, match=r"damaged files \(.+Delete the"):
            read(folder, KEY)
    index.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"damaged files \("):
        read(folder, KEY)


def test_a_cache_of_an_older_version_is_refused(batches, folder):
    write(folder, batches, lambda: KEY)
    index = folder / "index.json"
    content = json.loads(index.read_text())
    columns = [column[:2] for column in content["columns"]]
    index.write_text(json.dumps({"columns": columns, "key": KEY}))
    with pytest.raises(ValueError, match=r"damaged files \(.*Delete"):
        read(folder, KEY)


def untouched():
    pytest.fail("the pass began")
    yield


def test_an_empty_folder_is_filled(batches, folder):
    folder.mkdir(parents=True)
    write(folder, batches, lambda: KEY)
    assert len(read(folder, KEY)) == 3
    assert [path.name for path in folder.parent.iterdir()] == ["here"]


def test_what_cannot_be_written_is_refused_before_the_pass(
    folder, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="File exists|Not a directory"):
        write(tmp_path / "file" / "here", untouched(), lambda: KEY)

    def busy(*_):
        raise OSError(errno.EBUSY, "a disk is mounted there")

    folder.mkdir(parents=True)
    monkeypatch.setattr(pathlib.Path, "rename", busy)
    with pytest.raises(OSError, match="a disk is mounted there"):
        write(folder, untouched(), lambda: KEY)
    assert list(folder.parent.iterdir()) == [folder]


def test_files_are_on_disk_before_they_have_their_name(
    batches, folder, monkeypatch
):
    done = []
    for module, name in ((os, "fsync"), (pathlib.Path, "rename")):
        real = getattr(module, name)

        def noted(*args, real=real, name=name):
            done.append(name)
            return real(*args)

        monkeypatch.setattr(module, name, noted)
    write(folder, batches, lambda: KEY)
    assert done[:5] == ["fsync"] * 4 + ["rename"]


@pytest.mark.parametrize("store", [in_memory, "write"])
def test_samples_of_unequal_shapes_or_none_are_refused(batches, folder, store):
    def run(passing):
        if store == "write":
            return write(folder, passing, lambda: KEY)
        return store(passing)

    other = [batches[1][0][:, :1], *batches[1][1:]]
    with pytest.raises(ValueError, match="samples of one shape"):
        run([batches[0], other])
    with pytest.raises(ValueError, match="an empty one"):
        run([])
