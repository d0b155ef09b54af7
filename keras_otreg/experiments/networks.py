"""Small networks of a few stages, ending in the layer `features`."""

import keras
from keras import layers

from keras_otreg.compression import narrow as with_fewer_neurons
from keras_otreg.experiments.settings import Settings

SHAPE, CLASSES = (28, 28, 1), 10
# Stages of a student, each with the stage of the wide teacher beside it.
WIDE_STAGES = [(name, name) for name in ("stage1", "stage2", "stage3")]
NARROW_STAGES = [("stage1", "stage1"), ("stage2", "stage3")]
FEATURES = ("features", "features")


def places(stages: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Layers where a method can act, by the names of `methods.PLACES`."""
    return {
        "penultimate": [FEATURES],
        "stages": stages,
        "everywhere": [*stages, FEATURES],
        "head": [("head", "head")],
    }


def wide(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """The source network: three convolutions and a dense layer."""
    first, second, third = settings.channels
    inputs = keras.Input(SHAPE)
    x = _stage(inputs, 1, first, 3, strides=2, padding="same")
    x = layers.MaxPooling2D()(_stage(x, 2, second, 3))
    x = _stage(x, 3, third, 3)
    return _classifier(inputs, x, settings.units, classes)


def thin(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """The layers of `wide`, a quarter as wide."""
    return with_fewer_neurons(wide(settings, classes), 0.25)


def narrow(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """Another architecture, a quarter as wide: two large convolutions."""
    first, second, _ = settings.channels
    inputs = keras.Input(SHAPE)
    x = _stage(inputs, 1, first // 2, 5, strides=2, padding="same")
    x = _stage(x, 2, second // 2, 5, strides=2, padding="same")
    return _classifier(inputs, x, settings.units // 4, classes)


def _stage(x, number, channels, size, **settings):
    name = f"stage{number}"
    convolution = layers.Conv2D(
        channels, size, activation="relu", name=name, **settings
    )
    return convolution(x)


def _classifier(inputs, x, units, classes):
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation="relu", name="features")(x)
    x = layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, x)
