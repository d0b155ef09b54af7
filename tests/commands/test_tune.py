"""The command `tune`, on a folder of small pictures."""

import csv

import keras
import pytest


@pytest.fixture
def tune(run, folder, teacher, tmp_path):
    def call(*arguments, data=folder):
        return run(
            *("tune", *([data] if data else []), "--teacher", teacher),
            *("--out", tmp_path / "out", "--epochs", 1, *arguments),
        )

    return call


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_it_searches_writes_a_report_and_goes_on(tune, folder, tmp_path):
    layers = "--method", "transport", "--at", "maps", "--at", "avg_pool"
    # As in earlier versions.
    code, shown, _ = tune(*layers, "--trials", 1, "--data", folder, data=None)
    assert code == 0
    assert "transport, trial 1 of 1" in shown
    (first,) = rows_of(tmp_path / "out" / "trials.csv")
    assert {"learning_rate", "transport/weight", "transport/epsilon"} <= set(
        first
    )
    assert first["at"] in ("maps", "avg_pool")
    code, shown, _ = tune(*layers, "--trials", 2)
    assert code == 0
    assert shown.count("finished before") in (3, 4)
    rows = rows_of(tmp_path / "out" / "trials.csv")
    assert len(rows) == 2
    assert first in rows
    scores = [float(row["validation accuracy"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    for name in ("report.html", "classes.json", "history.csv"):
        assert (tmp_path / "out" / name).exists()
    best = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert best.output_shape == (None, 2)
    code, _, error = tune("--shots", 3, *layers[:4])
    assert code == 1
    assert "at is ['maps', 'avg_pool'] there" in error


@pytest.mark.slow
def test_it_may_act_at_several_layers_at_once(tune, tmp_path):
    layers = ["--at", "maps", "--at", "avg_pool", "--method", "hint"]
    code, *shown = tune("--trials", 1, "--everywhere", "--quiet", *layers)
    assert (code, shown) == (0, ["", ""])
    (row,) = rows_of(tmp_path / "out" / "trials.csv")
    assert row["at"] == "maps + avg_pool"
    assert float(row["hint/weight"]) > 0.0


@pytest.mark.parametrize("twice", [False, True])
def test_the_pictures_are_given_once(tune, folder, capsys, twice):
    given = ["--data", folder] if twice else []
    with pytest.raises(SystemExit) as error:
        tune(*given, data=folder if twice else None)
    assert error.value.code == 2
    assert "expected one folder of pictures" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_refused(tune, tmp_path):
    (tmp_path / "text.keras").write_text("not a model")
    code, _, error = tune("--teacher", tmp_path / "text.keras")
    assert code == 1
    assert "cannot read the teacher" in error


def test_a_teacher_of_other_inputs_is_refused(tune, tmp_path):
    inputs = keras.Input((9,))
    outputs = keras.layers.Dense(2)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "flat.keras")
    code, _, error = tune("--teacher", tmp_path / "flat.keras")
    assert code == 1
    assert "expected one picture" in error
