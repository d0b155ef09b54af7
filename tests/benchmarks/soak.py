"""Trains on and on, and looks at what the process holds."""

import gc
import pathlib
import tempfile
import time
from typing import NamedTuple

import keras
import numpy as np
import psutil
from results import Claim, row

from keras_otreg.data import optdigits
from keras_otreg.experiments.networks import narrow, wide
from keras_otreg.experiments.problem import Settings
from keras_otreg.losses import Hint, RepresentationTransport
from keras_otreg.models import Penalty, TransferModel

BATCH, EPOCHS = 64, 120
MEGABYTES_PER_MINUTE = 1.0
SHOWN = 7
ABOUT = f"""\
A round is {EPOCHS} epochs of `fit`, then `evaluate`, `predict`, `save`, \
`load_model` and a `predict` of what was loaded. The next round goes on with \
the same model, which loads its weights again; where it says so, with the new \
one. After each round garbage is collected and the process is looked at. The \
plain model is the student in the same loop without this library: what grows \
there too is not the wrapper's: to save and to load, Keras makes optimizers to \
compare with, and TensorFlow keeps something of each new name of a variable, \
some 35 kB; and it keeps the graph of each training step for ever, as Keras's \
optimizers sum gradients by a function with a gradient of its own."""


class Round(NamedTuple):
    """What a process holds at the end of a round."""

    number: int
    minutes: float
    megabytes: float
    threads: int
    handles: int


def name_of(plain, anew):
    model = "a plain model" if plain else "a transfer model"
    return f"{model}, a new one each round" if anew else model


def soak(plain, anew, minutes):
    """Lives rounds until the time is over, two at least."""
    process = psutil.Process()
    live = started(plain, anew)
    rounds, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        while len(rounds) < 2 or rounds[-1].minutes < minutes:
            live(pathlib.Path(place) / "model.keras")
            gc.collect()
            passed = (time.perf_counter() - start) / 60.0
            rounds.append(taken(process, len(rounds) + 1, passed))
    yield from of_rounds(name_of(plain, anew), rounds)


def started(plain, anew):
    """Makes a model, and a round of its life.

    The round trains for some epochs, evaluates, predicts, saves, loads a new
    model, which has to predict the same, and either loads its own weights
    again or gives way to the new model.
    """
    (x, y), (x_test, y_test) = optdigits()
    current = [_made(plain)]

    def live(path):
        model = current.pop()
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        model.evaluate(x_test, y_test, batch_size=BATCH, verbose=0)
        before = model.predict(x_test, batch_size=BATCH, verbose=0)
        model.save(path)
        loaded = keras.saving.load_model(path)
        after = loaded.predict(x_test, batch_size=BATCH, verbose=0)
        np.testing.assert_allclose(after, before, atol=1e-5)
        if anew:
            model = loaded
        else:
            model.load_weights(path)
        current.append(model)

    return live


def _made(plain):
    model = student = narrow(Settings())
    if not plain:
        penalties = [
            Penalty(RepresentationTransport(), at="features"),
            Penalty(Hint(), at="features", weight=0.1),
        ]
        model = TransferModel(student, wide(Settings()), penalties)
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def taken(process, number, minutes):
    """Looks at a `psutil.Process`."""
    return Round(
        number,
        minutes,
        process.memory_info().rss / 2**20,
        process.num_threads(),
        process.num_fds(),
    )


def second_half(rounds):
    """The rounds of the later half of the time."""
    return [x for x in rounds if 2.0 * x.minutes >= rounds[-1].minutes]


def slope(rounds):
    """Megabytes a minute that the second half gains, by least squares."""
    late = second_half(rounds)
    if len(late) < 2:
        return float("nan")
    minutes, megabytes = ([x[k] for x in late] for k in (1, 2))
    return float(np.polyfit(minutes, megabytes, 1)[0])


def of_rounds(name, rounds):
    """The rows of some of the rounds, and what is expected of all."""
    last = len(rounds) - 1
    for k in dict.fromkeys(np.linspace(0, last, SHOWN).round().astype(int)):
        x = rounds[k]
        values = {"minute": x.minutes, "resident MB": x.megabytes}
        yield row(
            name,
            round=x.number,
            **values,
            threads=x.threads,
            handles=x.handles,
        )
    late, grown = second_half(rounds), slope(rounds)
    yield Claim(
        f"{name}: memory grows by at most {MEGABYTES_PER_MINUTE:g} MB a minute "
        "over the second half",
        f"{grown:+.2f} MB a minute over {len(late)} rounds",
        grown <= MEGABYTES_PER_MINUTE,
    )
    for kind in ("threads", "handles"):
        first, last = (getattr(late[k], kind) for k in (0, -1))
        yield Claim(
            f"{name}: no more {kind} at the end than half-way",
            f"{first} half-way, {last} at the end",
            last <= first,
        )
