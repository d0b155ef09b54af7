"""Search for the strengths and places of penalties, with KerasTuner."""

from keras_otreg.tuning.hypermodel import TransferHyperModel
from keras_otreg.tuning.search import objective, random_search, trials
from keras_otreg.tuning.spaces import (
    alignment_space,
    at_each,
    hyperparameters,
    method_space,
    random_values,
    strength_space,
    transport_space,
)
from keras_otreg.tuning.spaces import drawn as drawn
from keras_otreg.tuning.spaces import settled as settled

__all__ = [
    "TransferHyperModel",
    "alignment_space",
    "at_each",
    "hyperparameters",
    "method_space",
    "objective",
    "random_search",
    "random_values",
    "strength_space",
    "transport_space",
    "trials",
]
