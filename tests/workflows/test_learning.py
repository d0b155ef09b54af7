import keras
import numpy as np
import pytest

from keras_otreg.data import PictureFiles
from keras_otreg.workflows.learning import Lessons, Settings

layers = keras.layers


class Stages:
    def watch(self, title, epochs):
        return keras.callbacks.Callback()


@pytest.fixture
def files(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(3)]
    for k, path in enumerate(paths):
        keras.utils.save_img(path, np.full((4, 4, 3), 80 * k), scale=False)
    return PictureFiles(paths, np.array([0, 1, 1]), ["a", "b"])


def learnt(files, bias, rate):
    """What becomes of a network that says the same of all pictures."""
    start = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Flatten(),
            layers.Dense(2, "softmax", kernel_initializer="zeros"),
        ]
    )
    start.layers[-1].bias.assign(bias)
    parts = dict.fromkeys(("train", "validation", "test"), files)
    lessons = Lessons(parts, (4, 4, 3), Settings(3, 3, 3, rate, 0), Stages())
    return start, lessons.learn("title", start)


def test_a_tie_keeps_the_start_however_keras_rounds(files):
    start, found = learnt(files, [0.0, 1.0], 1e-9)
    # Two of three pictures, before and after.
    assert found.history[0]["val_accuracy"] > 2 / 3
    assert found.best == 0
    assert found.model is start


def test_an_epoch_that_reads_one_picture_more_is_kept(files):
    start, found = learnt(files, [1.0, 0.0], 1e-3)
    assert found.history[found.best - 1]["val_accuracy"] >= 2 / 3
    assert found.best > 0
    assert found.model is not start
