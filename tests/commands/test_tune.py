"""The command `tune`, on a folder of small pictures."""

import csv
import os

import keras
import numpy as np
import pytest

from keras_otreg import __main__ as command_line


@pytest.fixture
def tune(folder, teacher, tmp_path):
    def call(*arguments):
        return command_line.main(
            [
                "tune",
                *("--data", str(folder), "--teacher", str(teacher)),
                *("--out", str(tmp_path / "out"), "--epochs", "1"),
                *arguments,
            ]
        )

    return call


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_it_writes_the_best_model_and_all_trials(tune, tmp_path, capsys):
    assert tune("--trials", "2") == 0
    rows = _rows(tmp_path / "out" / "trials.csv")
    assert len(rows) == 2
    assert float(rows[0]["score"]) >= float(rows[1]["score"])
    assert {"learning_rate", "transport/weight"} <= set(rows[0])
    best = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert best.output_shape == (None, 2)
    picture = np.ones((1, 8, 8, 3))
    assert np.isfinite(best.predict(picture, verbose=0)).all()
    shown = capsys.readouterr()
    assert "Trials, the best first" in shown.out
    assert "shuffle" not in shown.err
    assert tune("--trials", "2", "--quiet") == 0
    assert not any(capsys.readouterr())
    (tmp_path / "out" / "search" / "oracle.json").write_text("{")
    assert tune("--trials", "2") == 1
    assert "search' to be empty, or to hold an" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["val", "valid", None])
def test_it_takes_pictures_as_finetune_does(tune, folder, tmp_path, name):
    if name is None:
        folder = folder / "train"
    else:
        (folder / "validation").rename(folder / name)
    assert tune("--data", str(folder), "--trials", "1") == 0
    assert (tmp_path / "out" / "model.keras").exists()


@pytest.mark.slow
def test_the_neurons_may_be_aligned_instead(tune, tmp_path):
    assert tune("--trials", "1", "--method", "alignment") == 0
    (row,) = _rows(tmp_path / "out" / "trials.csv")
    assert {"alignment/weight", "alignment/epsilon"} <= set(row)


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(tune, tmp_path):
    assert tune("--trials", "1") == 0
    first = _rows(tmp_path / "out" / "trials.csv")
    assert tune("--trials", "2") == 0
    rows = _rows(tmp_path / "out" / "trials.csv")
    assert len(rows) == 2
    assert first[0] in rows


@pytest.mark.slow
def test_a_search_for_something_else_is_not_gone_on_with(
    tune, run, folder, teacher, tmp_path, capsys
):
    assert tune("--trials", "1") == 0
    assert tune("--trials", "2", "--shots", "3", "--at", "maps") == 1
    error = capsys.readouterr().err
    assert "shots is None there, not 3" in error
    assert "at is ['avg_pool'] there" in error
    out = tmp_path / "out"
    assert run("finetune", folder, "--teacher", teacher, "--out", out)[0] == 1
    assert not (out / "stages").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "logits"], "logits"),
        (["--teacher", "nothing.keras"], "no teacher 'nothing.keras'"),
        (["--at", "nowhere"], "nowhere"),
        (["--data", "nowhere"], "nowhere"),
        (["--teacher", "NoSuchNet"], "keras.applications"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tune, capsys, arguments, words):
    assert tune("--trials", "1", *arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in error


def test_a_file_that_is_no_model_is_refused(tune, tmp_path, capsys):
    (tmp_path / "text.keras").write_text("not a model")
    assert tune("--teacher", str(tmp_path / "text.keras")) == 1
    assert "cannot read the teacher" in capsys.readouterr().err


def test_a_teacher_of_other_inputs_is_refused(tune, tmp_path, capsys):
    inputs = keras.Input((9,))
    outputs = keras.layers.Dense(2)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "flat.keras")
    assert tune("--teacher", str(tmp_path / "flat.keras")) == 1
    assert "expected one picture" in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    tune, tmp_path, capsys, monkeypatch
):
    def full(_):
        # The settings still have room, the model has not.
        if (tmp_path / "out" / "search").exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert tune("--trials", "1") == 1
    message = capsys.readouterr().err
    assert message.endswith("[Errno 28] No space left on device\n")
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["run.json", "search"]


@pytest.mark.slow
def test_it_may_act_at_several_layers_at_once(tune, tmp_path):
    layers = ["--at", "maps", "--at", "avg_pool"]
    assert tune("--trials", "1", "--everywhere", *layers) == 0
    (row,) = _rows(tmp_path / "out" / "trials.csv")
    assert row["transport/at"] == "maps + avg_pool"
