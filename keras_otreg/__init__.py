"""Transfer learning in Keras, regularised by optimal transport."""

import importlib

from keras_otreg import (
    class_costs,
    features,
    layers,
    losses,
    models,
    ot,
    plots,
    regularizers,
)
from keras_otreg.models import Penalty, SourceTask, TransferModel
from keras_otreg.regularizers import add_starting_point

__version__ = "0.1.0"

__all__ = [
    "Penalty",
    "SourceTask",
    "TransferModel",
    "__version__",
    "add_starting_point",
    "class_costs",
    "data",
    "features",
    "layers",
    "losses",
    "models",
    "ot",
    "plots",
    "regularizers",
]


def __getattr__(name: str):
    # Only the data need TensorFlow; the rest runs on every backend of Keras.
    if name == "data":
        return importlib.import_module("keras_otreg.data")
    raise AttributeError(f"module 'keras_otreg' has no attribute {name!r}")
