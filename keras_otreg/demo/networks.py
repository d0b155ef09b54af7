"""The networks of the demo, whose penalised layer is called `features`."""

import keras
from keras import layers

from keras_otreg.demo.settings import Settings

SHAPE, CLASSES = (28, 28, 1), 10


def wide(settings: Settings, classes: int = CLASSES) -> keras.Model:
    """The source network: three convolutions and a dense layer."""
    first, second, third = settings.channels
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(first, 3, 2, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(second, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(third, 3, activation="relu")(x)
    return _classifier(inputs, x, settings.units, classes)


def narrow(settings: Settings) -> keras.Model:
    """Another architecture, a quarter as wide: two large convolutions."""
    first, second, _ = settings.channels
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(first // 2, 5, 2, padding="same", activation="relu")(
        inputs
    )
    x = layers.Conv2D(second // 2, 5, 2, padding="same", activation="relu")(x)
    return _classifier(inputs, x, settings.units // 4, CLASSES)


def _classifier(inputs, x, units, classes):
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation="relu", name="features")(x)
    x = layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, x)
