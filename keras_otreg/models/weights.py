"""Weights of loss terms: numbers, or schedules over the optimizer's steps."""

from typing import Any

import keras
from keras import ops


def acts(weight: Any) -> bool:
    """Whether a weight can ever be other than zero."""
    return callable(weight) or weight != 0.0


def weight_at(weight: Any, step: Any) -> Any:
    """The weight at a step of the optimizer."""
    if isinstance(weight, keras.optimizers.schedules.LearningRateSchedule):
        return ops.cast(weight(step), "float32")
    return weight(step) if callable(weight) else weight


def serialize_weight(weight: Any) -> Any:
    """Describes a weight in JSON."""
    if callable(weight):
        return keras.optimizers.schedules.serialize(weight)
    return weight


def deserialize_weight(config: Any) -> Any:
    """Rebuilds what `serialize_weight` described."""
    if isinstance(config, dict):
        return keras.optimizers.schedules.deserialize(config)
    return config
