"""Checks of what the logs are to hold."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_otreg.checks.values import instance_of, unique


def penalties(values: Any, kind: Any) -> list[Any]:
    """Returns a list of penalties."""
    several = isinstance(values, Iterable)
    values = list(values) if several else [values]
    for value in values:
        instance_of(value, kind, "penalties", "`keras_otreg.Penalty` objects")
    return values


def penalty_names(names: list[str]) -> list[str]:
    """Returns names of penalties that can be told apart in the logs."""
    unique(names, "penalties", "Give one of them another `name=`.")
    if "loss" in names:
        raise ValueError(
            "A penalty cannot have the name 'loss': the logs use it for the "
            f"total. Received: penalties named {names}. Give it another "
            "`name=`."
        )
    return names


def metrics(values: Any) -> list[Any]:
    """Returns a list of metrics, or of the name of one."""
    several = isinstance(values, Iterable) and not isinstance(values, str)
    values = list(values) if several else [values]
    for value in values:
        if value != "accuracy":
            instance_of(
                value,
                keras.metrics.Metric,
                "metrics",
                "'accuracy' or a list of `keras.metrics.Metric` objects",
            )
    return values
