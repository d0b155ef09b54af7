"""Transfer learning in Keras, regularised by optimal transport."""

from keras_otreg import (
    class_costs,
    features,
    layers,
    losses,
    models,
    ot,
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
    "features",
    "layers",
    "losses",
    "models",
    "ot",
    "regularizers",
]
