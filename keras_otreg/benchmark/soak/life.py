"""A model and what a person does to it between two epochs."""

import pathlib
from collections.abc import Callable

import keras
import numpy as np

from keras_otreg.data import optdigits
from keras_otreg.demo.networks import narrow, wide
from keras_otreg.demo.settings import Settings
from keras_otreg.losses import Hint, RepresentationTransport
from keras_otreg.models import Penalty, TransferModel

KINDS = ("transfer model", "plain model")
BATCH = 64


def started(kind: str) -> Callable[[pathlib.Path], None]:
    """Makes a model, and a round of its life.

    Args:
        kind: One of `KINDS`. The plain model is the student alone: what it
            loses in a round is not this library's.

    Returns:
        A function of a file to save to. It trains for an epoch, evaluates,
        predicts, saves, and goes on with what it has loaded again: on the
        first call the model that was made here.
    """
    (x, y), (x_test, y_test) = optdigits()
    current = [_made(kind)]

    def live(path):
        model = current.pop()
        model.fit(x, y, batch_size=BATCH, verbose=0)
        model.evaluate(x_test, y_test, batch_size=BATCH, verbose=0)
        before = model.predict(x_test, batch_size=BATCH, verbose=0)
        model.save(path)
        model = keras.saving.load_model(path)
        after = model.predict(x_test, batch_size=BATCH, verbose=0)
        np.testing.assert_allclose(after, before, atol=1e-5)
        current.append(model)

    return live


def _made(kind):
    student = narrow(Settings())
    model = student
    if kind == KINDS[0]:
        model = TransferModel(
            student,
            wide(Settings()),
            penalties=[
                Penalty(RepresentationTransport(), at="features"),
                Penalty(Hint(), at="features", weight=0.1),
            ],
        )
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model
