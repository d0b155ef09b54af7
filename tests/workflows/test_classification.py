"""Use of a trained classifier, found with its classes in its files."""

import json
import os
import shutil

import keras
import numpy as np
import pytest

from keras_otreg import workflows
from keras_otreg.workflows.classification import (
    Classes,
    classes_of,
    save_classifier,
)

NAMES = ["dark", "light"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A folder with a classifier by brightness, of pictures of any size."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255, offset=-0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "softmax", name="head"),
        ]
    )
    model.layers[-1].set_weights([np.array([[-4.0, 4.0]] * 3), np.zeros(2)])
    folder = tmp_path_factory.mktemp("tuned")
    save_classifier(model, folder / "model.keras", Classes(NAMES, (6, 8, 3)))
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One of three pictures is not what its folder says."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, label, level in (
        ("a", "dark", 20),
        ("b", "light", 230),
        ("c", "light", 40),
    ):
        (folder / "test" / label).mkdir(parents=True, exist_ok=True)
        path = folder / "test" / label / f"{name}.png"
        keras.utils.save_img(path, np.full((9, 5, 3), level), scale=False)
    return folder


def test_the_classes_are_in_the_file_and_beside_it(tuned, tmp_path):
    expected = Classes(NAMES, (6, 8, 3))
    assert classes_of(tuned / "model.keras") == expected
    # The file alone, elsewhere, still a model of Keras.
    copy = tmp_path / "copy.keras"
    copy.write_bytes((tuned / "model.keras").read_bytes())
    assert classes_of(copy) == expected
    model = keras.saving.load_model(copy)
    # Saved again by Keras, which drops what is in the file.
    again = tmp_path / "again.keras"
    model.save(again)
    assert classes_of(again) is None
    os.link(tuned / "classes.json", tmp_path / "classes.json")
    assert classes_of(again) == expected


def test_damaged_classes_are_named(tmp_path):
    (tmp_path / "classes.json").write_text('{"class_names": 3}')
    with pytest.raises(OSError, match="cannot read classes.json"):
        classes_of(tmp_path / "model.keras")


def test_pictures_are_classified_with_the_size_of_the_training(
    tuned, pictures, monkeypatch
):
    sizes = []
    predict = keras.Model.predict

    def watched(model, batches, **options):
        sizes.append(batches.element_spec[0].shape[1:])
        return predict(model, batches, **options)

    monkeypatch.setattr(keras.Model, "predict", watched)
    one = pictures / "test" / "light" / "b.png"
    rows = workflows.predict(tuned, [one, pictures])
    assert sizes == [(6, 8, 3)]
    assert [row["predicted"] for row in rows] == [
        "light",
        "dark",
        "light",
        "dark",
    ]
    assert rows[0]["file"] == str(one)
    assert rows[0]["probabilities"].keys() == set(NAMES)
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1.0)


def test_what_is_no_picture_is_named_and_left_out(tuned, tmp_path, pictures):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    one = pictures / "test" / "light" / "b.png"
    with pytest.warns(UserWarning, match="text.png"):
        (row,) = workflows.predict(tuned, [text, one])
    assert row["file"] == str(one)
    with pytest.raises(ValueError, match="none that can be read"):
        workflows.predict(tuned, [text])
    with pytest.raises(OSError, match="no pictures nowhere"):
        workflows.predict(tuned, ["nowhere", one])


def test_a_model_of_unknown_classes_is_refused(tmp_path, pictures):
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
    model.save(tmp_path / "model.keras")
    with pytest.raises(OSError, match="no classes of"):
        workflows.predict(tmp_path, [pictures])


def test_an_evaluation_counts_and_shows_the_mistakes(tuned, pictures, tmp_path):
    found = workflows.evaluate(tuned, pictures, out=tmp_path / "out")
    assert found.accuracy == pytest.approx(2 / 3)
    np.testing.assert_array_equal(found.confusion, [[1, 0], [1, 1]])
    (wrong,) = (x for x in found.rows if x["label"] != x["predicted"])
    assert wrong["file"].endswith("c.png")
    page = (tmp_path / "out" / "evaluation.html").read_text("utf-8")
    assert "66.7" in page
    assert 'title="c.png"' in page
    table = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert table[0] == "file,label,predicted,probability"
    assert len(table) == 4


def test_the_part_for_testing_may_have_another_name(tuned, pictures, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(pictures / "test", data / "holdout_set")
    # Hidden folders are no part of the data.
    shutil.copytree(pictures / "test", data / "train" / ".test")
    assert len(workflows.evaluate(tuned, data, quiet=True).rows) == 3


def test_hidden_files_of_a_folder_are_not_classified(tuned, pictures, tmp_path):
    for place in (".hidden", "shown"):
        shutil.copytree(pictures / "test" / "dark", tmp_path / place)
    source = pictures / "test" / "dark" / "a.png"
    shutil.copy(source, tmp_path / ".a.png")
    (row,) = workflows.predict(tuned, [tmp_path])
    assert row["file"] == str(tmp_path / "shown" / "a.png")


def test_other_classes_are_refused(tuned, pictures, tmp_path):
    (tmp_path / "green").mkdir()
    source = pictures / "test" / "light" / "b.png"
    (tmp_path / "green" / "b.png").write_bytes(source.read_bytes())
    with pytest.raises(ValueError, match="green"):
        workflows.evaluate(tuned, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved-model", "tflite", "onnx"])
def test_an_exported_model_predicts_the_same(tmp_path, format):
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    path = tmp_path / "model.keras"
    save_classifier(model, path, Classes(NAMES, (4, 4, 3)))
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype("float32")
    target = workflows.export(path, format, out=tmp_path / "out" / "it")
    found = {"saved-model": of_tensorflow, "tflite": of_tflite}.get(
        format, of_onnx
    )(target, x)
    np.testing.assert_allclose(found, model(x), rtol=1e-4, atol=1e-5)
    names = json.loads((target.parent / "classes.json").read_text())
    assert names["class_names"] == NAMES
    with pytest.raises(OSError, match="it exists"):
        workflows.export(path, format, out=target)


def of_tensorflow(path, x):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return loaded.serve(x)


def of_tflite(path, x):
    import tensorflow as tf

    runner = tf.lite.Interpreter(str(path))
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], x)
    runner.invoke()
    return runner.get_tensor(runner.get_output_details()[0]["index"])


def of_onnx(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: x})[0]
