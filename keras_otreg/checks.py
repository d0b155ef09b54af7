"""Checks that many files share, and the wording of argument errors."""

import difflib
import importlib
import math
import numbers
import pathlib
from collections.abc import Collection, Hashable, Iterable
from typing import Any

import keras
import numpy as np

from keras_otreg import engine


def invalid(
    expected: str, received: Any, way_out: str = "", *, argument: str = ""
) -> ValueError:
    """Return the error for an invalid argument, in the common wording.

    `way_out` says what helps, in one or more sentences; `argument` is the name
    of the argument, if it is one.
    """
    place = f"Invalid value for argument `{argument}`. " if argument else ""
    message = f"{place}Expected {expected}. Received: {received}"
    return ValueError(f"{message}. {way_out}" if way_out else message)


def require(
    is_valid: bool, value: Any, name: str, expected: str, way_out: str = ""
) -> Any:
    """Return the value of an argument if it is valid."""
    if is_valid:
        return value
    raise invalid(expected, f"{name}={value!r}", way_out, argument=name)


def one_of(value: Any, allowed: Iterable[str | None], name: str) -> Any:
    """Return `value` if it is among `allowed`."""
    is_known = (value is None or isinstance(value, str)) and value in allowed
    return require(is_known, value, name, f"one of {sorted(allowed, key=str)}")


def instance_of(value: Any, kinds: Any, name: str, expected: str) -> Any:
    """Return `value` if it is of one of the `kinds`."""
    if isinstance(value, kinds):
        return value
    received = f"{name}={value!r} (of type {type(value).__name__})"
    raise invalid(expected, received, argument=name)


def number(value: Any, name: str, expected: str, valid: Any) -> float:
    """Return `value` as a float if it is a number that `valid` accepts."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    is_valid = is_number and valid(float(value))
    return float(require(is_valid, value, name, expected))


def flag(value: Any, name: str) -> bool:
    """Return `value` if it is true or false."""
    return instance_of(value, bool, name, "True or False")


def positive(value: Any, name: str) -> float:
    """Return `value` as a float if it is finite and above zero."""
    expected = "a finite number above 0"
    return number(value, name, expected, lambda x: 0.0 < x < math.inf)


def non_negative(
    value: Any, name: str, expected: str = "a finite number of at least 0"
) -> float:
    """Return `value` as a float if it is finite and not below zero."""
    return number(value, name, expected, lambda x: 0.0 <= x < math.inf)


def count(value: Any, name: str, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number, no smaller."""
    expected = f"a whole number of at least {least}"
    found = number(value, name, expected, lambda x: x.is_integer())
    return int(require(found >= least, value, name, expected))


def unique(names: Iterable[str], what: str, remedy: str) -> None:
    """Raise if a name appears twice."""
    names = list(names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        received = f"{names}, in which {repeated} is repeated"
        raise invalid(f"{what} of different names", received, remedy)


def finite_array(value: Any, name: str, least_rank: int = 0) -> Any:
    """Return an array if it is not empty and all of it is finite."""
    try:
        value = np.asarray(value)
    except ValueError:
        value = np.empty(1, object)
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
    """Return `value` if it can solve a `TransportProblem`."""
    is_hashable = isinstance(value, Hashable)
    return require(
        callable(value) and is_hashable and not isinstance(value, type),
        value,
        "solver",
        "an instance of `keras_otreg.ot.Sinkhorn` or "
        "`keras_otreg.ot.ProximalPoint`, or a function like them that can be "
        "hashed, as a frozen dataclass can",
    )


def loss(value: Any, name: str = "loss") -> Any:
    """Return `value` if it is a Keras loss."""
    expected = "a `keras.losses.Loss` over (teacher, student) activations"
    return instance_of(value, keras.losses.Loss, name, expected)


def weight(value: Any, name: str = "weight") -> Any:
    """Return a number of at least 0, or a schedule."""
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


def folder(value: Any, name: str) -> pathlib.Path:
    """Return the path of a folder that is there."""
    path = pathlib.Path(value)
    require(path.is_dir(), str(value), name, "an existing folder")
    return path


def installed(module: str, extra: str, what: str) -> Any:
    """Return a module that an optional extra of this package installs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} need a package that is not installed: {error}. "
            f'Install the extra: pip install "keras-otreg[{extra}]"'
        ) from error


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
    return require(
        isinstance(value, str) and bool(value.strip("/ ")),
        value,
        name,
        "the path of a layer, such as 'avg_pool' or 'backbone/block3_out'",
        "`keras_otreg.features.summary(model)` prints every path.",
    )


def some_layers(paths: Any, name: str) -> list[str]:
    """Return the paths of one or several layers, if there are any."""
    paths = [paths] if isinstance(paths, str) else paths
    is_some = isinstance(paths, Collection) and bool(paths)
    expected = "the path of at least one layer, such as 'avg_pool'"
    require(is_some, paths, name, expected)
    return [layer_path(path, name) for path in paths]


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


def same_samples(teacher: Any, student: Any) -> None:
    """Raise unless two activations are of the same samples, with units."""
    fits = len(teacher) >= 2 and len(student) >= 2
    known = fits and None not in (teacher[0], student[0])
    if not fits or (known and teacher[0] != student[0]):
        raise invalid(
            "activations of the same samples, of shapes (batch, ..., units)",
            f"shapes {tuple(teacher)} and {tuple(student)}",
        )


def equal_features(teacher: Any, student: Any) -> None:
    """Raise unless the points of two sets have equally many coordinates."""
    if teacher[-1] != student[-1]:
        raise invalid(
            "two sets of points with equally many coordinates",
            f"shapes {tuple(teacher)} and {tuple(student)}",
            "To compare layers of unequal width, compare neurons instead, with "
            "`keras_otreg.losses.RepresentationTransport`.",
        )


def equal_channels(teacher: Any, student: Any, way_out: str) -> None:
    """Raise unless two activations have equally many channels."""
    if teacher[-1] != student[-1]:
        raise invalid(
            "activations of equally many channels, because channel i is "
            "compared with channel i",
            f"shapes {tuple(teacher)} and {tuple(student)}",
            way_out,
        )


def square(shape: Any, name: str) -> None:
    """Raise unless the last two axes of a shape are of one size."""
    expected = "a square plan, of shape (..., n, n), so that neurons can stay"
    is_square = len(shape) >= 2 and shape[-1] == shape[-2]
    require(is_square, tuple(shape), name, expected)


def cost_matrix(
    value: Any,
    name: str = "cost_matrix",
    of: str = "costs of shape (source classes, target classes)",
) -> Any:
    """Return a matrix of finite numbers of at least 0, such as costs."""
    value = finite_array(value, name, least_rank=1)
    if value.ndim == 2 and (value >= 0).all():
        return value
    raise invalid(
        f"non-negative {of}",
        f"shape {value.shape}, smallest value {value.min()}",
        argument=name,
    )


def conditional(value: Any) -> Any:
    """Return probabilities of source classes, a column per target class."""
    value = finite_array(value, "conditional", least_rank=2)
    is_one = value.ndim == 2 and (value >= 0).all()
    if is_one and np.allclose(value.sum(axis=0), 1.0, atol=1e-3):
        return value
    raise invalid(
        "probabilities of shape (source classes, target classes), whose "
        "columns sum to one",
        f"shape {value.shape}, sums of columns from "
        f"{value.sum(axis=0).min():.3g} to {value.sum(axis=0).max():.3g}",
        argument="conditional",
    )


def class_shares(
    value: Any, classes: int, name: str, *, relative: bool = True
) -> Any:
    """Return shares of so many classes, of sum one, or scaled if `relative`."""
    try:
        value = np.asarray(value, float)
        received = f"{name} of shape {value.shape}, sum {value.sum():.4g}"
    except (TypeError, ValueError):
        value, received = np.empty(0), f"{value}, which are no numbers"
    total = value.sum()
    fits = value.shape == (classes,) and (value >= 0).all() and total > 0
    if fits and (np.isfinite(total) if relative else abs(total - 1) <= 1e-3):
        return value / total
    sums = "not all of them zero" if relative else "that sum to 1"
    raise invalid(
        f"shares of {classes} classes of at least 0, by sorted label, {sums}",
        received,
        "Divide numbers of samples by their sum, and write 0 for a class that "
        "is not there.",
        argument=name,
    )


def one_label_each(
    features: Any, labels: Any, name: str, least_rank: int = 2
) -> None:
    """Raise unless every sample has one label."""
    labels = np.asarray(labels)
    per_sample = labels.ndim == 1 or labels.shape[1:] == (1,)
    is_float = labels.dtype.kind == "f"
    wrong = int((~np.isfinite(labels)).sum()) if is_float else 0
    equal = features.ndim >= least_rank and len(features) == labels.size > 0
    if wrong or not (per_sample and equal):
        raise invalid(
            f"{name} features of shape (samples, ...) and a label for each "
            "sample, shape (samples,); of one-hot labels take `y.argmax(-1)`",
            f"features of shape {features.shape} and labels of shape "
            f"{labels.shape}, {wrong} of them not finite",
        )


def labelled_batch(value: Any, name: str = "labelled") -> tuple[Any, ...]:
    """Return a batch as a tuple, if it has labels."""
    if isinstance(value, (tuple, list)) and len(value) > 1:
        return tuple(value)
    raise invalid(
        f"{name} batches (x, y) or (x, y, sample_weight), as `fit` gets them",
        "a batch of inputs alone, without labels",
    )


def some_batches(batches: Any) -> None:
    """Raise if a data set had no batches."""
    if not batches:
        raise invalid(
            "a data set of at least one batch of (inputs, labels)",
            "an empty one",
            "A generator can be read only once: pass a data set, or a list of "
            "batches.",
        )


def sample_tuple(value: Any, name: str) -> tuple[Any, ...]:
    """Return a tuple of arrays of equally many samples."""
    if isinstance(value, tuple) and len(value) in (1, 2, 3):
        arrays = keras.tree.flatten(value)
        # An array without axes has no length, and other objects have no shape.
        lengths = {(*getattr(x, "shape", ()), 0)[0] for x in arrays}
        if len(lengths) == 1 and 0 not in lengths:
            return value
        kinds = sorted({type(x).__name__ for x in arrays})
        received = f"{kinds} of lengths {sorted(lengths)}"
    else:
        received = f"an object of type {type(value).__name__}"
    raise invalid(
        f"{name} data as a tuple (x, y) or (x, y, sample_weight) of arrays of "
        "one length, a tf.data.Dataset or a PyDataset",
        received,
    )
