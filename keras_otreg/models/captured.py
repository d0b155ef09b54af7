"""Hands activations from a model's `call` to its `compute_loss`."""

import threading
from typing import Any

import keras


class Captured:
    """The activations of the last forward pass, in each thread its own.

    Keras calls the two methods one after the other and passes only the
    prediction between them. The activations are given out for that very
    prediction alone: another one may come from another graph.
    """

    def __init__(self):
        self._last = threading.local()

    def put(self, prediction: Any, activations: dict[str, Any]) -> None:
        """Keeps the activations that belong to a prediction."""
        self._last.value = (keras.tree.flatten(prediction), activations)

    def take(self, prediction: Any) -> dict[str, Any] | None:
        """Gives out the activations of a prediction, or of any for `None`."""
        kept, activations = getattr(self._last, "value", None) or ([], None)
        self._last.value = None
        if prediction is None:
            return activations
        same = zip(kept, keras.tree.flatten(prediction), strict=False)
        return activations if kept and all(x is y for x, y in same) else None
