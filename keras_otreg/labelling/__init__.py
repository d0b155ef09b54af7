"""Labels of unlabelled samples by transport, and training with them."""

from keras_otreg.labelling.labels import (
    TransportedLabels,
    from_probabilities,
    transported_labels,
)
from keras_otreg.labelling.rounds import SolvedRounds, solve_head_in_rounds

__all__ = [
    "SolvedRounds",
    "TransportedLabels",
    "from_probabilities",
    "solve_head_in_rounds",
    "transported_labels",
]
