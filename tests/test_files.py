import os
import signal
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from keras_otreg import files
from keras_otreg.files import in_its_place, is_damaged, seal, whole


def answer(monkeypatch, *answers):
    """Answers the questions of whoever asks, and counts them."""
    asked = []

    def reply(question):
        asked.append(question)
        return answers[len(asked) - 1]

    monkeypatch.setattr("builtins.input", reply)
    return asked


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


def test_writers_of_one_file_do_not_share_what_is_unfinished(tmp_path):
    path = tmp_path / "table.csv"
    with whole(path) as first:
        with whole(path) as second:
            first.write_text("first")
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


KILLED = """
import os, pathlib, runpy, signal, sys

files, path = runpy.run_path(sys.argv[1]), pathlib.Path(sys.argv[2])
with files["whole"](path) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path):
    """A path to which a process was writing when it was killed."""
    path = tmp_path / "m.keras"
    command = [sys.executable, "-c", KILLED, files.__file__, str(path)]
    process = subprocess.run(command, check=False)
    assert process.returncode == -signal.SIGKILL
    (folder,) = tmp_path.iterdir()
    assert (folder / path.name).read_text() == "half"
    return path


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_never_put_in_place(
    killed, monkeypatch
):
    asked = answer(monkeypatch)
    with pytest.raises(FileNotFoundError), whole(killed):
        pass  # Writes nothing.
    with in_its_place(killed, False, ".keras") as path:
        assert not path.exists()
        path.write_text("new")
    assert killed.read_text() == "new"
    assert not asked


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_removed_when_a_day_old(killed):
    (folder,) = killed.parent.iterdir()
    yesterday = folder.stat().st_mtime - files.DAY - 1
    whole_once(killed)
    assert folder.exists()
    os.utime(folder, (yesterday, yesterday))
    whole_once(killed)
    # A large file may take its time: what is written to is not stale.
    assert folder.exists()
    os.utime(folder / killed.name, (yesterday, yesterday))
    whole_once(killed)
    assert list(killed.parent.iterdir()) == [killed]


def whole_once(path):
    with whole(path) as unfinished:
        unfinished.write_text("new")


@pytest.mark.parametrize(("answers", "content"), [("n", "old"), ("xy", "new")])
def test_an_existing_file_is_replaced_only_after_a_yes(
    tmp_path, monkeypatch, answers, content
):
    (tmp_path / "m.keras").write_text("old")
    asked = answer(monkeypatch, *answers)
    with in_its_place(tmp_path / "m.keras", False, ".keras") as path:
        assert len(asked) == len(answers)
        assert "m.keras already exists" in asked[0]
        if path is not None:
            path.write_text("new")
    assert (tmp_path / "m.keras").read_text() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_without_its_whole_seal_is_damaged(tmp_path):
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(5000.0)
    assert not is_damaged(path)
    content = path.stat().st_size
    seal(path)
    sealed = path.read_bytes()
    assert not is_damaged(path)
    for length in (8, 999, *range(content, len(sealed))):
        path.write_bytes(sealed[:length])
        assert is_damaged(path)
    for place in (0, 255, content - 1, *range(content, len(sealed))):
        changed = bytearray(sealed)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert is_damaged(path)
    path.write_bytes(sealed + b"more")
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
    directory = content.index(b"PK\x01\x02")
    # In what it holds; how it is compressed; where its directory begins.
    for place in (content.index(b"aa"), directory + 10, len(content) - 4):
        changed = bytearray(content)
        changed[place] ^= 3
        path.write_bytes(changed)
        assert is_damaged(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert is_damaged(path)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("gs://bucket/a.keras", ".keras"), ("folder", ".keras"), ("a.h5", None)],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_is_not_one_local_file_is_left_to_keras(
    tmp_path, path, overwrite, suffix
):
    (tmp_path / "folder").mkdir()
    path = path if "://" in path else tmp_path / path
    with in_its_place(path, overwrite, suffix) as given:
        assert given is path


def test_what_cannot_be_unpacked_is_damaged(tmp_path):
    path = tmp_path / "head.json"
    with (
        pytest.raises(ValueError, match=r"head.json.*damaged.*\. Start anew"),
        files.undamaged(path, "Start anew"),
    ):
        zlib.decompress(b"no array")
