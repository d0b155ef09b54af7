import csv
import dataclasses
import io

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_otreg.data import Labelled
from keras_otreg.demo import runner

pytestmark = pytest.mark.release

FILES = ["class_plan.png", "joint.keras", "learning_curves.png", "table.csv"]
METHODS = [
    "target alone",
    "source, then target",
    "and the source's variation",
    "joint",
    "source, then joint",
    "JTLN, MK-MMD",
    "JTLN, random",
]


@pytest.fixture(scope="module")
def done(task, settings, tmp_path_factory):
    """Results, folder and printed text of one small run."""
    source = Labelled(np.tile(task.source.x, (3, 1, 1, 1)), np.arange(240) % 52)
    task = task._replace(source=source, source_test=source)
    settings = dataclasses.replace(settings, seeds=1)
    folder = tmp_path_factory.mktemp("joint")
    console = Console(file=io.StringIO(), width=100)
    results = runner.run_joint(task, settings, folder, console)
    return results, folder, console.file.getvalue()


def test_the_methods_are_those_of_the_paper_and_a_control(done, settings):
    results, _, text = done
    assert [result.method for result in results] == METHODS
    for result in results:
        assert result.curves.shape == (1, settings.points)
        assert result.method in text


def test_four_files_are_written_and_named(done):
    _, folder, text = done
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES:
        assert name in text


def test_the_csv_has_a_row_for_each_method(done):
    with (done[1] / "table.csv").open(encoding="utf-8") as file:
        assert [row["method"] for row in csv.DictReader(file)] == METHODS


def test_the_saved_model_is_the_plain_target_model(done, task):
    model = keras.saving.load_model(done[1] / "joint.keras")
    assert all(type(x).__module__.startswith("keras.") for x in model.layers)
    assert model.predict(task.test.x, verbose=0).shape == (30, 10)
