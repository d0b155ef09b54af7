import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from keras_otreg import backend
from keras_otreg.ot import fixed_plan, sinkhorn

PROGRAMS = (
    (sinkhorn, "_program"),
    (fixed_plan, "planner"),
    (fixed_plan, "paid_by_columns"),
)


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
    if "compiled" in request.keywords:
        return
    monkeypatch.setattr(backend, "compiled", lambda function: function)
    for module, name in PROGRAMS:
        # Not what other tests have compiled, and nothing for them either.
        monkeypatch.setattr(module, name, getattr(module, name).__wrapped__)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
