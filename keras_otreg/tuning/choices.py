"""Choices that a search makes for a penalty."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras_tuner

from keras_otreg import checks

# What the networks of Keras call their last pooling, if it has a name.
LAST = "avg_pool"


def choice(
    hp: keras_tuner.HyperParameters, name: str, values: str | Iterable[str]
) -> str:
    """One of several names, or the only one."""
    return hp.Choice(name, [values] if isinstance(values, str) else [*values])


def layer(
    hp: keras_tuner.HyperParameters,
    at: str | Sequence[str] | Mapping[str, str],
) -> str:
    """The path of one of several layers of the student, or of the only one."""
    return choice(hp, "at", checks.some_layers(at, "at"))


def log_uniform(
    hp: keras_tuner.HyperParameters,
    name: str,
    value: float | tuple[float, float],
) -> Any:
    """A number of a range, searched on a logarithmic scale, or the only one."""
    low, high = checks.interval(value, name)
    if low == high:
        return hp.Fixed(name, low)
    middle = math.sqrt(low * high)
    return hp.Float(name, low, high, sampling="log", default=middle)


def teacher_layer(
    at: str | Sequence[str] | Mapping[str, str], path: str
) -> str:
    """The teacher's layer that belongs to a chosen layer of the student."""
    return at[path] if isinstance(at, Mapping) else path
