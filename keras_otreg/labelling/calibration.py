"""Temperatures at which probabilities are those of being right."""

from typing import Any

import numpy as np

from keras_otreg.features.batches import softmax
from keras_otreg.heads import targets_of

# Probabilities below it are taken for it.
TINY = 1e-30
# The largest temperature; the smallest is its inverse.
HOTTEST = 20.0


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logits are divided by a temperature."""
    return softmax(np.log(np.maximum(probabilities, TINY)) / temperature)


def best_temperature(logits: np.ndarray, y: Any) -> float:
    """Return the temperature of least cross-entropy.

    Args:
        logits: Logits of samples that the model was not trained on, of shape
            `(n, classes)`.
        y: Their classes, or a row of targets each.

    Returns:
        The temperature; 1 if there are no samples.
    """
    if not len(logits):
        return 1.0
    targets = targets_of(y, logits.shape[1])

    def loss(log_temperature):
        p = softmax(logits / np.exp(log_temperature))
        return -(targets * np.log(np.maximum(p, TINY))).sum()

    # Convex in the inverse, so that thirds of the range can be left out.
    low, high = -np.log(HOTTEST), np.log(HOTTEST)
    for _ in range(40):
        third = (high - low) / 3.0
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return float(np.exp(0.5 * (low + high)))
