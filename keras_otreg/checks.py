"""Argument checks: the only place that words an argument error."""

import difflib
import numbers
from collections.abc import Iterable
from typing import Any


def one_of(value: Any, allowed: Iterable[str], name: str) -> Any:
    """Returns `value` if it is among `allowed`."""
    if value in allowed:
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. "
        f"Expected one of {sorted(allowed)}. Received: {name}={value!r}"
    )


def instance_of(value: Any, kinds: Any, name: str, expected: str) -> Any:
    """Returns `value` if it is of one of the `kinds`."""
    if isinstance(value, kinds):
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected {expected}. "
        f"Received: {name}={value!r} (of type {type(value).__name__})"
    )


def number(value: Any, name: str, *, expected: str, valid: Any) -> float:
    """Returns `value` as a float if it is a number that `valid` accepts."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and valid(float(value)):
        return float(value)
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected {expected}. "
        f"Received: {name}={value!r}"
    )


def positive(value: Any, name: str) -> float:
    """Returns `value` as a float if it is finite and above zero."""
    return number(
        value,
        name,
        expected="a finite number above 0",
        valid=lambda x: 0.0 < x < float("inf"),
    )


def non_negative(value: Any, name: str) -> float:
    """Returns `value` as a float if it is finite and not below zero."""
    return number(
        value,
        name,
        expected="a finite number of at least 0",
        valid=lambda x: 0.0 <= x < float("inf"),
    )


def count(value: Any, name: str) -> int:
    """Returns `value` as an int if it is a whole number of at least 1."""
    return int(
        number(
            value,
            name,
            expected="a whole number of at least 1",
            valid=lambda x: x >= 1 and x == int(x),
        )
    )


def layer_path(value: Any, name: str) -> str:
    """Returns `value` if it can be the path of a layer."""
    if isinstance(value, str) and value.strip("/ "):
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected the path of a layer, "
        "such as 'avg_pool' or 'backbone/block3_out'. "
        f"Received: {name}={value!r}. "
        "`keras_otreg.features.summary(model)` prints every path."
    )


def known_layer(path: str, known: Iterable[str], model_name: str) -> str:
    """Returns `path` if it is among the `known` paths of a model."""
    known = list(known)
    if path in known:
        return path
    leaf = path.rsplit("/", 1)[-1]
    same_leaf = [k for k in known if k.rsplit("/", 1)[-1] == leaf]
    near = same_leaf + [
        k
        for k in difflib.get_close_matches(path, known, n=5, cutoff=0.5)
        if k not in same_leaf
    ]
    hint = f"Near matches: {near}. " if near else ""
    raise ValueError(
        f"Model '{model_name}' has no layer at path {path!r}. Expected one of "
        f"the {len(known)} paths of its layers. {hint}"
        "`keras_otreg.features.summary(model)` prints all of them."
    )


def unique(names: Iterable[str], what: str, remedy: str) -> None:
    """Raises if a name appears twice."""
    names = list(names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Expected {what} of different names. Received: {names}, "
            f"in which {repeated} is repeated. {remedy}"
        )


def equal_widths(teacher: int, student: int, plan: str) -> None:
    """Raises if a neuron-by-neuron plan is asked of unequal layers."""
    if teacher != student:
        raise ValueError(
            f"plan={plan!r} pairs neuron i with neuron i, and expects layers "
            f"of equal width. Received: {teacher} teacher neurons and "
            f"{student} student neurons. Use plan='transport'."
        )
