"""The commands that use a trained model."""

import csv
import io

import keras
import numpy as np
import pytest

from keras_otreg.workflows.classification import Classes, save_classifier


@pytest.fixture
def model(student, tmp_path):
    network = keras.saving.load_model(student)
    outputs = keras.layers.Softmax()(network.outputs[0])
    classifier = keras.Model(network.inputs, outputs)
    path = tmp_path / "model.keras"
    save_classifier(
        classifier, path, Classes(["dark & <b>", "light"], (8, 8, 3))
    )
    return path


def test_predictions_are_shown_or_given_as_a_table(run, model, folder):
    pictures = folder / "test" / "light"
    code, shown, _ = run("predict", model, pictures)
    assert code == 0
    assert len(shown.splitlines()) == 5
    assert f"{pictures / '0.png'}: " in shown
    code, shown, _ = run("predict", model, pictures, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert [*rows[0]] == [
        "file",
        "predicted",
        "probability",
        "dark & <b>",
        "light",
    ]
    for row in rows:
        values = {x: float(row[x]) for x in ("dark & <b>", "light")}
        assert row["predicted"] == max(values, key=values.get)
        assert float(row["probability"]) == max(values.values())


def test_an_evaluation_is_a_table_of_classes(run, model, folder, tmp_path):
    code, shown, _ = run("evaluate", model, folder, "--out", tmp_path / "out")
    assert code == 0
    assert "of 10 pictures" in shown
    assert "dark & <b>" in shown
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert f"Accuracy {right:.3f}" in shown


def test_an_evaluation_that_would_leave_nothing_is_refused(
    run, model, folder, capsys
):
    with pytest.raises(SystemExit) as error:
        run("evaluate", model, folder, "--quiet")
    assert error.value.code == 2
    assert "--out" in capsys.readouterr().err
