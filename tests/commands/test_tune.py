"""The command `tune`, on a folder of small pictures."""

import csv

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
    assert "Trials, the best first" in capsys.readouterr().out


def test_the_neurons_may_be_aligned_instead(tune, tmp_path):
    assert tune("--trials", "1", "--method", "alignment") == 0
    (row,) = _rows(tmp_path / "out" / "trials.csv")
    assert {"alignment/weight", "alignment/epsilon"} <= set(row)


def test_it_goes_on_where_it_was_stopped(tune, tmp_path):
    assert tune("--trials", "1") == 0
    first = _rows(tmp_path / "out" / "trials.csv")
    assert tune("--trials", "2", "--shots", "3") == 0
    rows = _rows(tmp_path / "out" / "trials.csv")
    assert len(rows) == 2
    assert first[0] in rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--teacher", "nothing.keras"], "no teacher 'nothing.keras'"),
        (["--at", "nowhere"], "nowhere"),
        (["--data", "nowhere"], "no folder train"),
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
