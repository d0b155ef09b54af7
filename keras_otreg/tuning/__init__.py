"""The search for strengths and places, with KerasTuner."""

from keras_otreg.tuning.alignment_space import alignment_space
from keras_otreg.tuning.at_each import at_each
from keras_otreg.tuning.hypermodel import TransferHyperModel
from keras_otreg.tuning.method_space import (
    drawn,
    method_space,
    settled,
    strength_space,
)
from keras_otreg.tuning.objective import objective
from keras_otreg.tuning.random_search import random_search
from keras_otreg.tuning.transport_space import transport_space
from keras_otreg.tuning.trials import trials

__all__ = [
    "TransferHyperModel",
    "alignment_space",
    "at_each",
    "drawn",
    "method_space",
    "objective",
    "random_search",
    "settled",
    "strength_space",
    "transport_space",
    "trials",
]
