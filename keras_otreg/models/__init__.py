"""`TransferModel` and its parts."""

from keras_otreg.models.penalty import Penalty, WeightPenalty
from keras_otreg.models.saved_model import load_model
from keras_otreg.models.source_task import SourceTask
from keras_otreg.models.transfer_model import TransferModel

__all__ = [
    "Penalty",
    "SourceTask",
    "TransferModel",
    "WeightPenalty",
    "load_model",
]
