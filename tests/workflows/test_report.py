"""The page is written without a training here."""

import html
import re

import keras
import numpy as np
import pytest

from keras_otreg.data import picture_parts, read_pictures
from keras_otreg.workflows.report import report_page
from keras_otreg.workflows.results import ReportData
from keras_otreg.workflows.stages import Trained

layers = keras.layers
SIZE = (6, 8)


@pytest.fixture
def parts(tmp_path, rng):
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(8):
            pixels = rng.integers(0, 256, size=(17, 21, 3))
            path = tmp_path / "data" / label / f"{k}.png"
            keras.utils.save_img(path, pixels, scale=False)
    return picture_parts(tmp_path / "data", seed=0)


def sharp(channels):
    """A network of pictures of any size that every pixel counts for."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((None, None, channels)),
            layers.Rescaling(1 / 32),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, "softmax"),
        ]
    )


def report_data(parts, model, shape):
    predictions = {
        part: model.predict(
            read_pictures(parts[part], shape[:2], channels=shape[2]), verbose=0
        )
        for part in ("validation", "test")
    }
    history = [{"epoch": 1, "val_accuracy": 0.5, "accuracy": 0.5}]
    trained = Trained(model, history, 1, 1.0, predictions)
    results = dict.fromkeys(("plain", "method"), trained)
    return ReportData(
        results, "method", "plain", "method", parts, {}, "title", "lead"
    )


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_its_lines_of_python_see_a_picture_as_the_run_did(
    parts, tmp_path, monkeypatch, capsys, channels
):
    shape = (*SIZE, channels)
    data = report_data(parts, sharp(channels), shape)
    page = report_page(data, shape)
    data.results["method"].model.save(tmp_path / "model.keras")
    (lines,) = re.findall("<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    lines = html.unescape(lines).replace("picture.jpg", parts["test"].paths[0])
    monkeypatch.chdir(tmp_path)
    known = {}
    exec(lines, known)  # noqa: S102
    expected = data.results["method"].predictions["test"][0]
    np.testing.assert_allclose(known["probabilities"], expected, atol=0.01)
    assert known["names"] == ["a", "b"]
    assert "0." in capsys.readouterr().out


def test_options_in_an_advice_are_set_as_code(parts):
    page = report_page(report_data(parts, sharp(3), (*SIZE, 3)), (*SIZE, 3))
    assert 'try more <code class="option">--epochs</code>.' in page
    assert "&lt;code" not in page
