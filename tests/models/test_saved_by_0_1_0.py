"""Files of version 0.1.0 load, predict what they did, and train on."""

import gzip
import pathlib

import keras
import numpy as np
import pytest

import keras_otreg as otreg

FOLDER = pathlib.Path(__file__).with_name("saved_by_0_1_0")
SLOW = ["with_penalties", "joint", "neuron_transport"]
NAMES = ["starting_point"] + [
    pytest.param(name, marks=pytest.mark.slow) for name in SLOW
]
# `with_penalties` and `joint` hold weights that change from step to step.
pytestmark = pytest.mark.schedules


@pytest.fixture(scope="module")
def recorded():
    with np.load(FOLDER / "recorded.npz") as found:
        return dict(found)


def assert_goes_on(model, name, recorded):
    x, y = recorded["X"], recorded["Y"]
    np.testing.assert_allclose(model(x), recorded[name], rtol=1e-5, atol=1e-6)
    steps = int(model.optimizer.iterations)
    assert steps == 2
    if getattr(model, "source_task", None) is not None:
        x, y = (x, x[::-1].copy()), (y, y)
    assert np.isfinite(model.train_on_batch(x, y)).all()
    assert int(model.optimizer.iterations) == steps + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_file_goes_on(name, recorded):
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    assert_goes_on(model, name, recorded)


@pytest.mark.slow
def test_a_file_without_its_teacher_goes_on(recorded):
    teacher = FOLDER / "teacher.keras"
    model = otreg.load_model(FOLDER / "without_teacher.keras", teacher)
    assert_goes_on(model, "with_penalties", recorded)


@pytest.mark.release
def test_weights_alone_go_on(recorded, tmp_path):
    path = tmp_path / "with_penalties.weights.h5"
    packed = FOLDER / f"{path.name}.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    known = keras.saving.load_model(FOLDER / "with_penalties.keras")
    model = otreg.TransferModel.from_config(known.get_config())
    model.compile_from_config(known.get_compile_config())
    model.load_weights(path)
    assert_goes_on(model, "with_penalties", recorded)
