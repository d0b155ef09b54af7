"""Checks of single arguments, and of the folder of an earlier run."""

import contextlib
import difflib
import importlib
import math
import numbers
import pathlib
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg import engine
from keras_otreg.files import DAMAGE


def invalid(
    expected: str,
    received: Any,
    way_out: str = "",
    *,
    argument: str | None = None,
) -> ValueError:
    """Return the error for an invalid argument, in the common wording.

    `way_out` says what helps, in one or more sentences; `argument` is the name
    of the argument, if it is one.
    """
    place = f"Invalid value for argument `{argument}`. " if argument else ""
    message = f"{place}Expected {expected}. Received: {received}"
    return ValueError(f"{message}. {way_out}" if way_out else message)


def one_of(value: Any, allowed: Iterable[str | None], name: str) -> Any:
    """Returns `value` if it is among `allowed`."""
    if (value is None or isinstance(value, str)) and value in allowed:
        return value
    raise invalid(
        f"one of {sorted(allowed, key=str)}",
        f"{name}={value!r}",
        argument=name,
    )


def instance_of(value: Any, kinds: Any, name: str, expected: str) -> Any:
    """Returns `value` if it is of one of the `kinds`."""
    if isinstance(value, kinds):
        return value
    received = f"{name}={value!r} (of type {type(value).__name__})"
    raise invalid(expected, received, argument=name)


def number(value: Any, name: str, expected: str, valid: Any) -> float:
    """Returns `value` as a float if it is a number that `valid` accepts."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and valid(float(value)):
        return float(value)
    raise invalid(expected, f"{name}={value!r}", argument=name)


def flag(value: Any, name: str) -> bool:
    """Returns `value` if it is true or false."""
    return instance_of(value, bool, name, "True or False")


def positive(value: Any, name: str) -> float:
    """Returns `value` as a float if it is finite and above zero."""
    expected = "a finite number above 0"
    return number(value, name, expected, lambda x: 0.0 < x < math.inf)


def non_negative(
    value: Any, name: str, expected: str = "a finite number of at least 0"
) -> float:
    """Returns `value` as a float if it is finite and not below zero."""
    return number(value, name, expected, lambda x: 0.0 <= x < math.inf)


def count(value: Any, name: str, least: int = 1) -> int:
    """Returns `value` as an int if it is a whole number, no smaller."""
    expected = f"a whole number of at least {least}"

    def valid(x):
        return x >= least and x.is_integer()

    return int(number(value, name, expected, valid))


def unique(names: Iterable[str], what: str, remedy: str) -> None:
    """Raises if a name appears twice."""
    names = list(names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        received = f"{names}, in which {repeated} is repeated"
        raise invalid(f"{what} of different names", received, remedy)


def finite_array(value: Any, name: str, least_rank: int = 0) -> Any:
    """Returns an array if it is not empty and all of it is finite."""
    received = f"dtype {value.dtype}, shape {value.shape}"
    if value.dtype.kind in "biuf" or value.dtype.name == "bfloat16":
        wrong = int((~np.isfinite(value)).sum())
        if value.ndim >= least_rank and value.size and not wrong:
            return value
        received += f", {wrong} values not finite"
    elif value.dtype.kind == "O" and value.ndim:
        received += ", as of rows of unequal lengths"
    raise invalid(
        f"a non-empty array of finite numbers with at least {least_rank} axes",
        received,
        argument=name,
    )


def solver(value: Any) -> Any:
    """Returns `value` if it can solve a `TransportProblem`."""
    is_hashable = isinstance(value, Hashable)
    if callable(value) and is_hashable and not isinstance(value, type):
        return value
    raise invalid(
        "an instance of `keras_otreg.ot.Sinkhorn` or "
        "`keras_otreg.ot.ProximalPoint`, or a function like them that can be "
        "hashed, as a frozen dataclass can",
        f"solver={value!r}",
        argument="solver",
    )


def loss(value: Any, name: str = "loss") -> Any:
    """Returns `value` if it is a Keras loss."""
    expected = "a `keras.losses.Loss` over (teacher, student) activations"
    return instance_of(value, keras.losses.Loss, name, expected)


def weight(value: Any, name: str = "weight") -> Any:
    """Returns a number of at least 0, or a schedule."""
    if not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        expected = "a number of at least 0, or a LearningRateSchedule"
        return non_negative(value, name, expected)
    if not engine.losses_see_step:
        raise NotImplementedError(
            f"Expected a number for `{name}` on this backend, where a loss "
            f"cannot read the number of a step. Received: {name}={value!r}. "
            "Train on TensorFlow or PyTorch, or let a callback set the weight."
        )
    return value


def one_or_two_flags(value: Any, name: str) -> tuple[bool, bool]:
    """Returns a pair of booleans, given one for both or two."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 2
    if len(pair) == 2 and all(isinstance(flag, bool) for flag in pair):
        return pair
    raise invalid(
        "a boolean, or a pair of them, one for each side",
        f"{name}={value!r}",
        argument=name,
    )


def folder(value: Any, name: str) -> pathlib.Path:
    """Returns the path of a folder that is there."""
    if pathlib.Path(value).is_dir():
        return pathlib.Path(value)
    received = f"{name}={str(value)!r}"
    raise invalid("an existing folder", received, argument=name)


@contextlib.contextmanager
def undamaged(path: pathlib.Path, way_out: str) -> Iterator[None]:
    """Context in which damaged files of a run raise an error."""
    try:
        yield
    except DAMAGE as error:
        raise invalid(
            f"'{path}' to be as an earlier run wrote it",
            f"files that are damaged or missing ({error!r})",
            f"{way_out}, or give another --out",
        ) from error


def same_run(
    known: Mapping[str, Any], settings: Mapping[str, Any], folder: pathlib.Path
) -> None:
    """Raise if a folder holds a run with other settings."""
    other = [
        f"{name} is {known.get(name)!r} there, not {value!r}"
        for name, value in settings.items()
        if known.get(name) != value
    ]
    if other:
        raise invalid(
            f"'{folder}' to be empty, or to hold a run with the same settings",
            f"a run in which {'; '.join(other)}",
            "Give another --out, or the settings as they were",
        )


def installed(module: str, extra: str, what: str) -> Any:
    """Returns a module that an optional extra of this package installs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} need a package that is not installed: {error}. "
            f'Install the extra: pip install "keras-otreg[{extra}]"'
        ) from error


def height_and_width(value: Any) -> tuple[int, int]:
    """Return the size of a picture."""
    sides = tuple(value) if isinstance(value, Collection) else ()
    if len(sides) == 2 and all(isinstance(x, int) and x > 0 for x in sides):
        return sides
    raise invalid(
        "(height, width), two whole numbers above 0",
        f"image_size={value!r}",
        argument="image_size",
    )


def built_model(value: Any, name: str) -> Any:
    """Return `value` if it is a Keras model that has its weights."""
    instance_of(value, keras.Model, name, "a built `keras.Model`")
    if value.built:
        return value
    raise invalid(
        f"`{name}` to be a built `keras.Model`",
        f"model '{value.name}', which has no weights yet",
        "Call it on a batch of data, or `build` it with an input shape, first.",
    )


def layer_path(value: Any, name: str) -> str:
    """Return `value` if it can be the path of a layer."""
    if isinstance(value, str) and value.strip("/ "):
        return value
    raise invalid(
        "the path of a layer, such as 'avg_pool' or 'backbone/block3_out'",
        f"{name}={value!r}",
        "`keras_otreg.features.summary(model)` prints every path.",
        argument=name,
    )


def some_layers(paths: Any, name: str) -> list[str]:
    """Return the paths of one or several layers, if there are any."""
    paths = [paths] if isinstance(paths, str) else paths
    if isinstance(paths, Collection) and paths:
        return [layer_path(path, name) for path in paths]
    raise invalid(
        "the path of at least one layer, such as 'avg_pool'",
        f"{name}={paths!r}",
        argument=name,
    )


def known_layer(
    path: str,
    known: Iterable[str],
    model_name: str,
    way_out: str = "`keras_otreg.features.summary(model)` prints all of them.",
) -> str:
    """Return `path` if it is among the `known` paths of a model."""
    known = list(known)
    if path in known:
        return path
    leaf = path.rsplit("/", 1)[-1]
    same_leaf = [k for k in known if k.rsplit("/", 1)[-1] == leaf]
    raise ValueError(
        f"Model '{model_name}' has no layer at path {path!r}. Expected one of "
        f"the {len(known)} paths of its layers. "
        f"{near(path, known, same_leaf)}{way_out}"
    )


def near(name: str, known: Iterable[str], first: Iterable[str] = ()) -> str:
    """Return a sentence about names like a wrong one, or no text."""
    lower = {x.lower(): x for x in known}
    found = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0.5)
    matches = list(dict.fromkeys([*first, *(lower[x] for x in found)]))
    return f"Near matches: {matches}. " if matches else ""


def single_tensor(value: Any, path: str) -> Any:
    """Return the output of a layer if it is one tensor with a batch axis."""
    is_one = value is not None and not keras.tree.is_nested(value)
    if is_one and len(value.shape) >= 2:
        return value
    raise invalid(
        f"the layer at path {path!r} to return one tensor of shape (batch, "
        "..., units)",
        repr(value),
        "Mark the tensor that you mean with a `keras_otreg.layers.FeatureTap`.",
    )


def channels_last(layer: Any, rank: int, path: str) -> None:
    """Raise if the last axis of maps is not that of the channels."""
    if rank > 2 and getattr(layer, "data_format", None) == "channels_first":
        raise invalid(
            "activations whose last axis is that of the channels at layer "
            f"'{path}'",
            "a layer of data_format='channels_first'",
            "Put a `keras.layers.Permute` behind it and name that one.",
        )
