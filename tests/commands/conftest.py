"""Small pictures that are easy to tell apart, and networks to start from."""

import keras
import pytest

from keras_otreg import __main__ as command_line

SIZE = 8
LEVELS = {"dark & <b>": 40, "light": 200}


def draw(folder, levels, count, rng):
    """Pictures of some levels of grey, in a folder for each."""
    for label, level in levels.items():
        place = folder / label
        place.mkdir(parents=True)
        for k in range(count):
            pixels = level + rng.integers(-30, 30, size=(SIZE, SIZE, 3))
            keras.utils.save_img(place / f"{k}.png", pixels, scale=False)


@pytest.fixture
def source(tmp_path, rng):
    levels = {"black": 30, "grey": 128, "white": 220}
    draw(tmp_path / "source", levels, 6, rng)
    return tmp_path / "source"


@pytest.fixture
def folder(tmp_path, rng):
    for part, count in (("train", 6), ("validation", 4), ("test", 5)):
        draw(tmp_path / "data" / part, LEVELS, count, rng)
    return tmp_path / "data"


def network(units, classes):
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(units, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(name="avg_pool"),
            keras.layers.Dense(classes, name="logits"),
        ]
    )


@pytest.fixture
def teacher(tmp_path):
    keras.utils.set_random_seed(0)
    network(4, 5).save(tmp_path / "teacher.keras")
    return tmp_path / "teacher.keras"


@pytest.fixture
def student(tmp_path):
    keras.utils.set_random_seed(1)
    network(3, 2).save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit code, its output and its last error."""

    def call(*arguments):
        code = command_line.main([str(x) for x in arguments])
        out, error = capsys.readouterr()
        return code, out, error.strip().splitlines()[-1] if error else ""

    return call
