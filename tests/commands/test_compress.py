"""The command `compress`, on a folder of small pictures."""

import json
import re

import keras
import numpy as np
import pytest


@pytest.fixture
def compress(run, folder, teacher, student, tmp_path):
    def call(*arguments):
        return run(
            *("compress", teacher, folder, "--student", student),
            *("--out", tmp_path / "out", "--epochs", 1, *arguments),
        )

    return call


@pytest.mark.release
@pytest.mark.compiled
def test_the_student_becomes_a_classifier(compress, tmp_path):
    code, shown, _ = compress()
    assert code == 0
    # Layers of the same names inherited.
    titles = "the student alone|alignment|inherited, then trained|inter.*"
    assert re.search(rf"({titles}) = model.keras", shown)
    # All were trained: none is the student as it came.
    assert shown.count("best epoch 1 of 1") == 3
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    # Its own head predicted logits of as many classes.
    found = model.predict(np.ones((2, 8, 8, 3)), verbose=0)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert model.get_layer("logits").units == 2
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "instead of" in page
    assert "--tune" not in page


@pytest.mark.slow
def test_layers_are_paired_as_they_are_named(compress, tmp_path):
    code, _, error = compress("--at", "maps=nowhere")
    assert code == 1
    assert "nowhere" in error
    # Found out before any training.
    code, _, error = compress("--at", "maps", "--method", "mmd")
    assert code == 1
    assert "mmd" in error
    assert not list(tmp_path.glob("out/stages/*"))
    layers = "--at", "maps", "--at", "avg_pool=maps"
    assert compress(*layers, "--method", "cka")[0] == 0
    config = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert config["at"] == {"maps": "maps", "avg_pool": "maps"}


def test_networks_for_other_pictures_are_refused(compress, tmp_path):
    other = keras.Sequential(
        [keras.Input((9, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    other.save(tmp_path / "other.keras")
    code, _, error = compress("--student", tmp_path / "other.keras")
    assert code == 1
    assert "(8, 8, 3)" in error
    assert "Resizing" in error
    assert "channels" not in error


def test_of_other_channels_another_way_out_is_told(compress, tmp_path):
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    grey.save(tmp_path / "grey.keras")
    code, _, error = compress("--student", tmp_path / "grey.keras")
    assert code == 1
    assert "a student of 3 channels" in error
    assert "Resizing" not in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "classes", [2, pytest.param(5, marks=pytest.mark.release)]
)
def test_a_student_is_made_of_the_teacher(run, folder, tmp_path, classes):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu", name="maps"),
            layers.GlobalAveragePooling2D(name="avg_pool"),
            layers.Dense(classes, activation="softmax", name="head"),
        ]
    )
    network.save(tmp_path / "large.keras")
    command = "compress", tmp_path / "large.keras", folder, "--epochs", 1
    command = *command, "--flops", "50%", "--out", tmp_path / "out"
    # The graph of this method is made soonest.
    command = *command, "--method", "cka"
    code, shown, _ = run(*command)
    assert code == 0
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert model.get_layer("maps").filters < 8
    assert model.output_shape == (None, 2)
    # Only a teacher of the same classes has predictions to learn from.
    assert ("new weights, distilled" in shown) == (classes == 2)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Size of the network" in page
    assert "time for a picture" in page
    # Started again, it trains nothing.
    code, shown, _ = run(*command)
    assert code == 0
    assert shown.count("finished before") == 6
    assert "best epoch" not in shown.split("Accuracy")[0]


def test_one_size_or_a_student_is_asked_for(run, folder, teacher, student):
    for sizes in ((), ("--width", 0.5, "--student", student)):
        with pytest.raises(SystemExit):
            run("compress", teacher, folder, *sizes)
    with pytest.raises(SystemExit):
        run("compress", teacher, folder, "--width", 0.5, "--flops", "2M")
