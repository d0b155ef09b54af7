import functools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from keras_otreg.ot import sinkhorn


@pytest.fixture(autouse=True)
def fresh_session():
    """Layer names start from zero in every test."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def solvers_as_written(request, monkeypatch):
    """Solvers run uncompiled, but for tests marked `compiled`.

    XLA takes the better part of a second for each new shape of a problem, and
    most tests have shapes of their own.
    """
    if "compiled" not in request.keywords:
        monkeypatch.setattr(
            sinkhorn,
            "_program",
            lambda s: functools.partial(sinkhorn._solve, s),
        )


@pytest.fixture
def rng():
    return np.random.default_rng(0)
