"""Hands a forward pass from a model's `call` to its `compute_loss`."""

import threading
from typing import Any, NamedTuple

import keras

from keras_otreg.models.batch import Parts


class Forward(NamedTuple):
    """The student's forward pass on a step's inputs.

    Attributes:
        parts: The parts of the inputs.
        outputs: Outputs for all samples of the step.
        activations: Activations of layers for all samples, by path.
    """

    parts: Parts
    outputs: Any
    activations: dict[str, Any]


class Captured:
    """The last forward pass, in each thread its own.

    Keras calls the two methods one after the other and passes only the
    prediction between them. The forward pass is given out for that very
    prediction alone: another one may come from another graph.
    """

    def __init__(self):
        self._last = threading.local()

    def put(self, prediction: Any, forward: Forward) -> None:
        """Keeps the forward pass that a prediction comes from."""
        self._last.value = (keras.tree.flatten(prediction), forward)

    def take(self, prediction: Any) -> Forward | None:
        """Gives out the forward pass of a prediction, once."""
        kept, forward = getattr(self._last, "value", None) or ([], None)
        self._last.value = None
        same = zip(kept, keras.tree.flatten(prediction), strict=False)
        return forward if kept and all(x is y for x, y in same) else None
