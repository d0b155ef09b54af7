"""Transfer learning in Keras, regularised by optimal transport."""

from keras_otreg import features, layers, losses, models, ot, regularizers
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.regularizers import add_starting_point

__version__ = "0.1.0"

__all__ = [
    "Penalty",
    "TransferModel",
    "__version__",
    "add_starting_point",
    "features",
    "layers",
    "losses",
    "models",
    "ot",
    "regularizers",
]
