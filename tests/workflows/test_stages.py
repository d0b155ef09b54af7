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


def test_a_stage_is_read_as_it_was_written(tmp_path):
    Run(tmp_path, {"seed": 0}).write("head", trained(3.0))
    found = Run(tmp_path, {"seed": 0}).read("head")
    np.testing.assert_array_equal(found.model.get_weights()[0], [[3.0], [3.0]])
    np.testing.assert_array_equal(found.predictions["test"], [[3.0]])
    assert (found.best, found.seconds) == (1, 2.5)
    assert found.history == [{"epoch": 1, "val_accuracy": 0.5}]


def test_what_was_interrupted_is_not_finished(tmp_path):
    run = Run(tmp_path, {"seed": 0})
    assert run.read("head") is None
    # Killed between the weights and the mark.
    (tmp_path / "stages" / "head.keras").write_text("half")
    assert run.read("head") is None
    run.write("head", trained(1.0))
    assert run.read("head").seconds == 2.5


def test_other_settings_are_refused_once_something_is_finished(tmp_path):
    Run(tmp_path, {"seed": 0})
    run = Run(tmp_path, {"seed": 1})
    run.write("head", trained(1.0))
    with pytest.raises(ValueError, match="seed is 1 there, not 2"):
        Run(tmp_path, {"seed": 2})
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1
    assert Run(tmp_path, {"seed": 1}).read("head")


FILES = ["run.json", "stages/head.json", "stages/head.npz", "stages/head.keras"]


@pytest.mark.parametrize("damage", ["{", "[1]", ""])
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_is_named_with_a_way_out(tmp_path, name, damage):
    Run(tmp_path, {"seed": 0}).write("head", trained(1.0))
    (tmp_path / name).write_text(damage)
    cure = "Delete '.*head.json'"
    if name == "run.json":
        cure = f"Delete '{re.escape(str(tmp_path))}' to .*give another --out"
    with pytest.raises(ValueError, match=cure):
        Run(tmp_path, {"seed": 0}).read("head")


@pytest.mark.parametrize("name", FILES[2:])
def test_what_is_missing_is_made_again_as_the_message_says(tmp_path, name):
    run = Run(tmp_path, {"seed": 0})
    run.write("head", trained(1.0))
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="missing"):
        run.read("head")
    (tmp_path / "stages" / "head.json").unlink()
    assert run.read("head") is None


def test_rows_may_lack_columns(tmp_path):
    write_table(tmp_path / "rows.csv", [{"a": 1}, {"b": 2}])
    assert (tmp_path / "rows.csv").read_text().split() == ["a,b", "1,", ",2"]
