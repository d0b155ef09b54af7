"""Pictures and a network, the smallest that will do."""

import keras
import numpy as np
import pytest

from keras_otreg.data import PictureFiles


@pytest.fixture(scope="session")
def picture_files(tmp_path_factory):
    """Three pictures of two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [str(folder / f"{k}.png") for k in range(3)]
    for k, path in enumerate(paths):
        keras.utils.save_img(path, np.full((4, 4, 3), 80 * k), scale=False)
    return PictureFiles(paths, np.array([0, 1, 1]), ["a", "b"])


@pytest.fixture
def start():
    """A network whose second class is the most probable for all pictures."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(3, 1, name="body"),
            layers.GlobalAveragePooling2D(name="features"),
            layers.Dense(2, "softmax", kernel_initializer="zeros", name="head"),
        ]
    )
    model.layers[-1].bias.assign([0.0, 1.0])
    return model
