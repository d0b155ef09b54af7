"""How much of the package a step of training goes through."""

import gc
import pathlib
import sys

import keras
import numpy as np
import pytest

import keras_otreg as otreg

PACKAGE = str(pathlib.Path(otreg.__file__).parent)
# Slightly above today's 112, 70 and 17. Lower them when a step gets simpler.
MOST = {"calls": 115, "functions": 70, "files": 17}


def calls_within(work):
    """File and first line of each function of the package that is called."""
    found = []

    def look(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            found.append((code.co_filename, code.co_firstlineno))

    # What a collection deletes belongs to other tests.
    gc.collect()
    gc.disable()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.tensorflow
def test_a_step_with_one_penalty_goes_through_few_functions(rng):
    student = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="relu", name="features"),
            keras.layers.Dense(3, name="head"),
        ]
    )
    penalty = otreg.Penalty(otreg.losses.RepresentationTransport(), "features")
    model = otreg.TransferModel(student, penalties=[penalty])
    model.compile("sgd", "mse", run_eagerly=True)
    x = rng.normal(size=(8, 6)).astype("float32")
    y = np.ones((8, 3), "float32")
    # The first step builds what the others use again.
    model.train_on_batch(x, y)
    found = calls_within(lambda: model.train_on_batch(x, y))
    counts = {
        "calls": len(found),
        "functions": len(set(found)),
        "files": len({file for file, _ in found}),
    }
    assert counts["calls"] > 0
    assert all(counts[name] <= most for name, most in MOST.items()), counts
