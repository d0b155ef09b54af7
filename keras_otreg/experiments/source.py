"""Training of the network that the transfer starts from."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_otreg.data import Labelled
from keras_otreg.experiments import networks
from keras_otreg.experiments.settings import Settings


def trained_source(
    data: Labelled,
    settings: Settings,
    advance: Callable[[], None] = lambda: None,
) -> keras.Model:
    """Return a wide network trained on distorted copies of images.

    `advance` is called after each epoch.
    """
    keras.utils.set_random_seed(settings.seed)
    model = networks.wide(settings, int(data.y.max()) + 1)
    rng = np.random.default_rng(settings.seed)
    model.compile(
        "adam", "sparse_categorical_crossentropy", steps_per_execution=16
    )
    for _ in range(settings.source_epochs):
        images = distorted(data.x, rng)
        model.fit(images, data.y, batch_size=64, verbose=0)
        advance()
    return model


def distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn, scale, slant and move images `(n, height, width, channels)`."""
    count, height, width, _ = images.shape
    angle = rng.uniform(-0.2, 0.2, count)
    slant = rng.uniform(-0.2, 0.2, count)
    # Digits of the target fill the image: mostly enlarge.
    scale = 1.0 / rng.uniform(0.9, 1.5, (2, count))
    a, b = np.cos(angle) * scale[0], np.sin(angle) * scale[0] + slant
    c, d = -np.sin(angle) * scale[1], np.cos(angle) * scale[1]
    # From pixels of the result to pixels of the image, about the middle.
    x, y = (width - 1) / 2, (height - 1) / 2
    move_x, move_y = rng.uniform(-2.0, 2.0, (2, count))
    move_x, move_y = move_x + x - a * x - b * y, move_y + y - c * x - d * y
    zero = np.zeros(count)
    rows = np.stack([a, b, move_x, c, d, move_y, zero, zero], axis=1)
    moved = ops.image.affine_transform(
        images, rows.astype("float32"), data_format="channels_last"
    )
    return ops.convert_to_numpy(moved)
