"""A model and what a person does to it between two epochs."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from keras_otreg.data import optdigits
from keras_otreg.demo.networks import narrow, wide
from keras_otreg.demo.settings import Settings
from keras_otreg.losses import Hint, RepresentationTransport
from keras_otreg.models import Penalty, TransferModel

BATCH = 64
EPOCHS = 120


class Kind(NamedTuple):
    """What lives for long.

    Attributes:
        is_wrapped: Whether it is a `TransferModel`. Else it is the student
            alone: what it loses in a round is not this library's.
        is_anew: Whether each round trains the model that was loaded in the
            last one. Else all rounds train one.
    """

    is_wrapped: bool
    is_anew: bool

    @property
    def name(self) -> str:
        """What it is called in titles."""
        model = "transfer model" if self.is_wrapped else "plain model"
        return f"{model}, a new one each round" if self.is_anew else model


KINDS = (
    Kind(is_wrapped=True, is_anew=False),
    Kind(is_wrapped=False, is_anew=False),
    Kind(is_wrapped=True, is_anew=True),
    Kind(is_wrapped=False, is_anew=True),
)


def started(kind: Kind) -> Callable[[pathlib.Path], None]:
    """Makes a model, and a round of its life.

    Args:
        kind: Of model.

    Returns:
        A function of a file to save to. It trains for some epochs, evaluates,
        predicts, saves, loads a new model, which has to predict the same, and
        either loads its own weights again or gives way to the new model.
    """
    (x, y), (x_test, y_test) = optdigits()
    current = [_made(kind.is_wrapped)]

    def live(path):
        model = current.pop()
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        model.evaluate(x_test, y_test, batch_size=BATCH, verbose=0)
        before = model.predict(x_test, batch_size=BATCH, verbose=0)
        model.save(path)
        loaded = keras.saving.load_model(path)
        after = loaded.predict(x_test, batch_size=BATCH, verbose=0)
        np.testing.assert_allclose(after, before, atol=1e-5)
        if kind.is_anew:
            model = loaded
        else:
            model.load_weights(path)
        current.append(model)

    return live


def _made(is_wrapped):
    student = narrow(Settings())
    model = student
    if is_wrapped:
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
