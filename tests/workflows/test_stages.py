import json
import re

import keras
import numpy as np
import pytest

from keras_otreg.workflows.stages import Run, Trained, write_table


def trained(value):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.set_weights([np.full((2, 1), value), np.zeros(1)])
    history = [{"epoch": 1, "val_accuracy": 0.5}]
    return Trained(model, history, 1, 2.5, {"test": np.array([[value]])})


def fail():
    raise OSError("in the middle")


def test_a_stage_is_done_once_and_read_afterwards(tmp_path):
    Run(tmp_path, {"seed": 0}).stage("head", lambda: trained(3.0))
    run = Run(tmp_path, {"seed": 0})
    assert run.is_finished("head")
    found = run.stage("head", fail)
    np.testing.assert_array_equal(found.model.get_weights()[0], [[3.0], [3.0]])
    np.testing.assert_array_equal(found.predictions["test"], [[3.0]])
    assert (found.best, found.seconds) == (1, 2.5)
    assert found.history == [{"epoch": 1, "val_accuracy": 0.5}]


def test_what_was_interrupted_is_not_finished(tmp_path):
    run = Run(tmp_path, {"seed": 0})
    with pytest.raises(OSError, match="in the middle"):
        run.stage("head", fail)
    # Killed between the weights and the mark.
    (tmp_path / "stages" / "head.keras").write_text("half")
    assert not run.is_finished("head")
    assert run.stage("head", lambda: trained(1.0)).seconds == 2.5


def test_other_settings_are_refused_once_something_is_finished(tmp_path):
    Run(tmp_path, {"seed": 0})
    run = Run(tmp_path, {"seed": 1})
    run.stage("head", lambda: trained(1.0))
    with pytest.raises(ValueError, match="seed is 1 there, not 2"):
        Run(tmp_path, {"seed": 2})
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1
    assert Run(tmp_path, {"seed": 1}).is_finished("head")


FILES = ["run.json", "stages/head.json", "stages/head.npz", "stages/head.keras"]


@pytest.mark.parametrize("damage", ["{", "[1]", ""])
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_is_named_with_a_way_out(tmp_path, name, damage):
    Run(tmp_path, {"seed": 0}).stage("head", lambda: trained(1.0))
    (tmp_path / name).write_text(damage)
    cure = "Delete '.*head.json'"
    if name == "run.json":
        cure = f"Delete '{re.escape(str(tmp_path))}', or give another --out"
    with pytest.raises(ValueError, match=cure):
        Run(tmp_path, {"seed": 0}).stage("head", fail)


@pytest.mark.parametrize("name", FILES[2:])
def test_what_is_missing_is_made_again_as_the_message_says(tmp_path, name):
    Run(tmp_path, {"seed": 0}).stage("head", lambda: trained(1.0))
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="missing"):
        Run(tmp_path, {"seed": 0}).stage("head", fail)
    (tmp_path / "stages" / "head.json").unlink()
    Run(tmp_path, {"seed": 0}).stage("head", lambda: trained(1.0))
    assert (tmp_path / name).exists()


def test_rows_may_lack_columns(tmp_path):
    write_table(tmp_path / "rows.csv", [{"a": 1}, {"b": 2}])
    assert (tmp_path / "rows.csv").read_text().split() == ["a,b", "1,", ",2"]
