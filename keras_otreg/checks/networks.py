"""Checks of networks and of paths of their layers."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any

import keras

from keras_otreg.checks.values import instance_of, invalid


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
