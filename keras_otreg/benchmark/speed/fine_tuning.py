"""A short fine-tuning run of a real network, to measure along the way."""

from typing import NamedTuple

import keras
import numpy as np

from keras_otreg.data import efficientnet_lite0, letters
from keras_otreg.losses import RepresentationTransport
from keras_otreg.models import Penalty, TransferModel

AT = "avg_pool"


class Step(NamedTuple):
    """Activations on the batch of a step, of shape `(batch, neurons)`."""

    teacher: np.ndarray
    student: np.ndarray


def pictures(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Printed letters, as pictures of an ImageNet network, and their labels."""
    data = letters()
    drawn = np.random.default_rng(0).choice(len(data.x), count, replace=False)
    x = np.repeat(np.asarray(data.x)[drawn].reshape(count, 28, 28, 1), 3, -1)
    x = 255.0 * x / max(float(x.max()), 1.0)
    resized = keras.ops.image.resize(x.astype("float32"), (size, size))
    return np.asarray(resized), np.asarray(data.y)[drawn]


def network(size: int, classes: int) -> keras.Model:
    """EfficientNet-Lite0 with a head for a new task."""
    base = efficientnet_lite0((size, size, 3), include_top=False, pooling="avg")
    head = keras.layers.Dense(classes, name="head")
    return keras.Model(base.input, head(base.output))


def compiled(student: keras.Model, **settings: object) -> TransferModel:
    """A wrapper with one transport penalty at the last layer of features."""
    loss = RepresentationTransport(**settings)
    model = TransferModel(student, penalties=[Penalty(loss, at=AT)])
    compile_(model)
    return model


def compile_(model: keras.Model) -> None:
    """Compiles a model for the labels of `pictures`."""
    model.compile(
        keras.optimizers.Adam(3e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )


def recorded(steps: int, batch: int, size: int) -> list[Step]:
    """Fine-tunes with transport, and records both networks' activations."""
    x, y = pictures(steps * batch, size)
    model = compiled(network(size, int(y.max()) + 1))
    features = [
        keras.Model(m.input, m.get_layer(AT).output)
        for m in (model.teacher, model.student)
    ]
    found = []
    for k in range(steps):
        part = slice(k * batch, (k + 1) * batch)
        found.append(Step(*(m.predict_on_batch(x[part]) for m in features)))
        model.train_on_batch(x[part], y[part])
    return found
