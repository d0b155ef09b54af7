"""Small pictures that are easy to tell apart, and networks to start from."""

import shutil

import keras
import numpy as np
import pytest

from keras_otreg import __main__ as command_line

SIZE = 8
LEVELS = {"dark & <b>": 40, "light": 200}


METHOD = "--method", "transport"


def draw(folder, levels, count, rng):
    """Pictures of some levels of grey, in a folder for each."""
    for label, level in levels.items():
        place = folder / label
        place.mkdir(parents=True)
        for k in range(count):
            pixels = level + rng.integers(-30, 30, size=(SIZE, SIZE, 3))
            keras.utils.save_img(place / f"{k}.png", pixels, scale=False)


def network(units, classes, seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(units, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(name="avg_pool"),
            keras.layers.Dense(classes, name="logits"),
        ]
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Pictures and networks that no test changes."""
    place = tmp_path_factory.mktemp("shared")
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("validation", 4), ("test", 5)):
        draw(place / "data" / part, LEVELS, count, rng)
    draw(place / "source", {"black": 30, "grey": 128, "white": 220}, 6, rng)
    network(4, 5, seed=0).save(place / "teacher.keras")
    network(3, 2, seed=1).save(place / "small.keras")
    return place


@pytest.fixture
def folder(shared):
    return shared / "data"


@pytest.fixture
def source(shared):
    return shared / "source"


@pytest.fixture
def teacher(shared):
    return shared / "teacher.keras"


@pytest.fixture
def student(shared):
    return shared / "small.keras"


@pytest.fixture(scope="session")
def finished(shared):
    """The output folder of a `finetune` of two epochs, once for all tests."""
    out = shared / "finished"
    arguments = ["finetune", shared / "data", "--quiet", *METHOD, "--epochs", 2]
    arguments += ["--teacher", shared / "teacher.keras", "--out", out]
    assert command_line.main([str(x) for x in arguments]) == 0
    return out


@pytest.fixture
def out(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "out")


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit code, its output and its last error."""

    def call(*arguments):
        code = command_line.main([str(x) for x in arguments])
        out, error = capsys.readouterr()
        return code, out, error.strip().splitlines()[-1] if error else ""

    return call
