"""Argument checks: the only place that words an argument error."""

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np


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


def chosen_call(calls: list[Any], path: str, index: int | None) -> Any:
    """Returns the call of a layer that is meant, of those that were made."""
    if index is None and len(calls) == 1:
        return calls[0]
    if index is not None and index < len(calls):
        return calls[index]
    choices = [f"{path.split('#')[0]}#{k}" for k in range(len(calls))]
    if not calls:
        problem = "The model did not call it in this forward pass."
    elif index is None:
        problem = f"The model called it {len(calls)} times: choose {choices}."
    else:
        problem = f"The model called it {len(calls)} times: {choices}."
    raise ValueError(
        f"Expected one output of the layer at path {path!r}. {problem}"
    )


def single_tensor(value: Any, path: str) -> Any:
    """Returns the output of a layer if it is one tensor with a batch axis."""
    if not keras.tree.is_nested(value) and len(value.shape) >= 2:
        return value
    raise ValueError(
        f"Expected the layer at path {path!r} to return one tensor of shape "
        f"(batch, ..., units). Received: {value!r}. Mark the tensor that you "
        "mean with a `keras_otreg.layers.FeatureTap`."
    )


def equal_ranks(teacher: Any, student: Any) -> None:
    """Raises unless two activations have the same number of axes."""
    if len(teacher) != len(student):
        raise ValueError(
            "Expected teacher and student activations of the same rank to keep "
            f"positions. Received: shapes {tuple(teacher)} and "
            f"{tuple(student)}. Use spatial='pool', or another layer."
        )


def known_sizes(sizes: tuple[Any, Any], axis: int) -> tuple[int, int]:
    """Returns two sizes of maps if both are known."""
    if None in sizes:
        raise ValueError(
            f"Expected sizes along axis {axis} that are known when the graph "
            f"is built, to pool unequal maps. Received: {sizes}. Give the "
            "models a fixed input size, or use spatial='pool'."
        )
    return sizes


def equal_features(teacher: Any, student: Any) -> None:
    """Raises unless the points of two sets have equally many coordinates."""
    if teacher[-1] != student[-1]:
        raise ValueError(
            "Expected two sets of points with equally many coordinates. "
            f"Received: shapes {tuple(teacher)} and {tuple(student)}. To "
            "compare layers of unequal width, compare neurons instead, with "
            "`keras_otreg.losses.RepresentationTransport`."
        )


def solver(value: Any) -> Any:
    """Returns `value` if it can solve a `TransportProblem`."""
    if callable(value) and not isinstance(value, type):
        return value
    raise ValueError(
        "Invalid value for argument `solver`. Expected an instance of "
        "`keras_otreg.ot.Sinkhorn` or `keras_otreg.ot.ProximalPoint`. "
        f"Received: solver={value!r}"
    )


def finite_array(value: Any, name: str, least_rank: int = 0) -> Any:
    """Returns an array if it is not empty and all of it is finite."""
    if value.ndim >= least_rank and value.size and np.isfinite(value).all():
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected a non-empty array of "
        f"finite numbers with at least {least_rank} axes. "
        f"Received: shape {value.shape}, "
        f"{int((~np.isfinite(value)).sum())} values not finite"
    )


def equal_shapes(start: Any, weight: Any) -> None:
    """Raises unless a weight has the shape of its starting point."""
    if tuple(start) != tuple(weight):
        raise ValueError(
            "Expected a weight of the shape of its starting point, "
            f"{tuple(start)}. Received: shape {tuple(weight)}"
        )


def loss(value: Any, name: str = "loss") -> Any:
    """Returns `value` if it is a Keras loss."""
    return instance_of(
        value,
        keras.losses.Loss,
        name,
        "a `keras.losses.Loss` over (teacher, student) activations",
    )


def built_model(value: Any, name: str) -> Any:
    """Returns `value` if it is a Keras model that has its weights."""
    instance_of(value, keras.Model, name, "a built `keras.Model`")
    if value.built:
        return value
    raise ValueError(
        f"Expected `{name}` to be a built `keras.Model`. Received: model "
        f"'{value.name}', which has no weights yet. Call it on a batch of "
        "data, or `build` it with an input shape, first."
    )


def penalties(values: Any, kind: Any) -> list[Any]:
    """Returns a list of penalties that can be told apart in the logs."""
    values = [values] if isinstance(values, kind) else list(values)
    for value in values:
        instance_of(value, kind, "penalties", "`keras_otreg.Penalty` objects")
    names = [value.name for value in values]
    unique(names, "penalties", "Give one of them another `name=`.")
    if "loss" in names:
        raise ValueError(
            "A penalty cannot have the name 'loss': the logs use it for the "
            f"total. Received: penalties named {names}. Give it another "
            "`name=`."
        )
    return values


def unshared_input(teacher: Any, student: Any, expected: Any) -> ValueError:
    """The error of a teacher that cannot take what a student takes."""
    return ValueError(
        "Expected a teacher that takes the inputs of the student, because "
        "both see the same batch. "
        f"Received: teacher '{teacher.name}' with input shape "
        f"{getattr(teacher, 'input_shape', 'unknown')} and student "
        f"'{student.name}' with input shape {expected}. Put a resizing or "
        "preprocessing layer in front of one of them."
    )


def weight(value: Any) -> Any:
    """Returns a number of at least 0, or a schedule."""
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    return number(
        value,
        "weight",
        expected="a number of at least 0, or a LearningRateSchedule",
        valid=lambda x: 0.0 <= x < float("inf"),
    )


def separate_weights(shared: list[str]) -> None:
    """Raises if a teacher holds weights that the student will train."""
    if shared:
        raise ValueError(
            "Expected a teacher whose weights are its own, because it must "
            "stay as it is. Received: a teacher that shares "
            f"{len(shared)} trainable weights with the student, such as "
            f"{shared[:3]}. Leave out `teacher=` for a frozen copy of the "
            "student, or copy it with `keras.models.clone_model` and "
            "`set_weights`."
        )


def misfit_loss(
    name: str, teacher: str, student: str, error: Exception
) -> ValueError:
    """The error of a penalty whose loss does not take its layers."""
    return ValueError(
        f"The loss of penalty '{name}' cannot compare teacher layer {teacher} "
        f"with student layer {student}. {error}"
    )
