"""Transfer learning in Keras, regularised by optimal transport."""

import importlib

from keras_otreg import starting

if starting.is_program(__name__):
    starting.import_keras()

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
