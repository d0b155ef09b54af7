"""Transfer learning in Keras, regularised by optimal transport."""

import importlib
import os
import sys


def _start_in_silence():
    """Keeps TensorFlow's start-up messages off the screen of a program.

    After its import it is too late, and some of them it writes before it looks
    at the level.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    screen, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("keras")
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        os.close(nowhere)


if "TF_CPP_MIN_LOG_LEVEL" not in os.environ and (
    sys.orig_argv[1:3] == ["-m", __name__]
    or os.path.basename(sys.argv[0]) == "keras-otreg"
):
    # A program of ours starts here, and nobody wants the messages.
    _start_in_silence()

from keras_otreg import (  # noqa: E402
    callbacks,
    class_costs,
    features,
    layers,
    losses,
    models,
    ot,
    plots,
    regularizers,
)
from keras_otreg.models import (  # noqa: E402
    Penalty,
    SourceTask,
    TransferModel,
    load_model,
)
from keras_otreg.regularizers import add_starting_point  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "Penalty",
    "SourceTask",
    "TransferModel",
    "__version__",
    "add_starting_point",
    "callbacks",
    "class_costs",
    "data",
    "features",
    "layers",
    "load_model",
    "losses",
    "models",
    "ot",
    "plots",
    "regularizers",
    "tuning",
]


def __getattr__(name: str):
    # The data need TensorFlow, and the search needs KerasTuner; the rest runs
    # on every backend of Keras alone.
    if name in ("data", "tuning"):
        return importlib.import_module(f"keras_otreg.{name}")
    raise AttributeError(f"module 'keras_otreg' has no attribute {name!r}")
