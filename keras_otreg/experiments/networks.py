"""Small networks of a few stages, and the training of one as a source."""

import functools

import keras
import numpy as np
from keras import layers, ops

from keras_otreg.experiments.problem import Settings

SHAPE, CLASSES = (28, 28, 1), 10
# A convolution, and settings with which it halves height and width.
Stage = functools.partial(layers.Conv2D, activation="relu")
HALVED = {"strides": 2, "padding": "same"}
# Stages of a student, each with the stage of the wide teacher beside it.
WIDE_STAGES = [(name, name) for name in ("stage1", "stage2", "stage3")]
NARROW_STAGES = [("stage1", "stage1"), ("stage2", "stage3")]


def places(stages, last="features"):
    """Layers where a method can act, by the values of `Method.at`."""
    return {
        "penultimate": [(last, last)],
        "stages": stages,
        "everywhere": [*stages, (last, last)],
        "head": [("head", "head")],
    }


def wide(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """The source network: three convolutions and a dense layer."""
    first, second, third = settings.channels
    inputs = keras.Input(SHAPE)
    x = Stage(first, 3, name="stage1", **HALVED)(inputs)
    x = layers.MaxPooling2D()(Stage(second, 3, name="stage2")(x))
    x = Stage(third, 3, name="stage3")(x)
    return _classifier(inputs, x, settings.units, classes)


def narrow(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """Another architecture, a quarter as wide: two large convolutions."""
    first, second, _ = settings.channels
    inputs = keras.Input(SHAPE)
    x = Stage(first // 2, 5, name="stage1", **HALVED)(inputs)
    x = Stage(second // 2, 5, name="stage2", **HALVED)(x)
    return _classifier(inputs, x, settings.units // 4, classes)


def _classifier(inputs, x, units, classes):
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation="relu", name="features")(x)
    x = layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, x)


def without_batch_statistics(model: keras.Model) -> keras.Model:
    """Freeze the batch normalisation of a network, which is changed."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            without_batch_statistics(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model


def trained_source(data, settings, advance=lambda: None):
    """Return a wide network trained on distorted copies of images."""
    keras.utils.set_random_seed(settings.seed)
    model = wide(settings, int(data.y.max()) + 1)
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
