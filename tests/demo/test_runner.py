import csv
import io

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_otreg.demo import runner

# `.ci/run` runs the demo.
pytestmark = pytest.mark.release

FILES = ["fine_tuned.keras", "learning_curves.png", "plan.png", "table.csv"]


@pytest.fixture(scope="module")
def done(task, settings, tmp_path_factory):
    """Results, folder and printed text of one run of the demo."""
    folder = tmp_path_factory.mktemp("demo")
    console = Console(file=io.StringIO(), width=100)
    results = runner.run(task, settings, folder, console)
    return results, folder, console.file.getvalue()


def test_every_method_has_a_curve_for_each_seed(done, settings):
    results, _, _ = done
    assert len({(x.student, x.method) for x in results}) == 11
    for result in results:
        assert result.curves.shape == (settings.seeds, settings.points)
        assert np.all((result.curves >= 0.0) & (result.curves <= 1.0))
        assert (result.seconds > 0.0) == (result.method != "solved head")


def test_a_student_a_quarter_as_wide_is_smaller(done):
    sizes = {result.student: result.parameters for result in done[0]}
    assert sizes["a quarter as wide"] < sizes["same network"]


def test_four_files_are_written_and_named(done):
    _, folder, text = done
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES:
        assert name in text


def test_one_table_is_printed_with_every_method(done):
    results, _, text = done
    assert text.count("test accuracy  ") == 1
    for result in results:
        assert f"{result.mean:.3f} ± {result.deviation:.3f}" in text
    assert "package's defaults; nothing was chosen" in text


def test_the_csv_holds_the_accuracy_of_every_seed(done):
    results, folder, _ = done
    with (folder / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, result in zip(rows, results, strict=True):
        assert row["method"] == result.method
        seeds = [float(row["seed_5"]), float(row["seed_6"])]
        np.testing.assert_allclose(seeds, result.accuracies, atol=1e-4)
        np.testing.assert_allclose(float(row["mean"]), result.mean, atol=1e-4)


def test_the_saved_model_is_a_plain_keras_model_with_its_accuracy(done, task):
    results, folder, _ = done
    model = keras.saving.load_model(folder / "fine_tuned.keras")
    for part in (model, *model.layers):
        assert type(part).__module__.startswith("keras.")
    reported = next(x for x in results if x.method == "transport")
    right = model.predict(task.test.x, verbose=0).argmax(axis=1) == task.test.y
    np.testing.assert_allclose(right.mean(), reported.accuracies[-1])
