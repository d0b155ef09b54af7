"""Checks of networks, their layers and what acts between them."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any

import keras

from keras_otreg.checks.values import instance_of


def channels_last(layer: Any, rank: int, path: str) -> None:
    """Raises if the last axis of maps is not that of the channels."""
    if rank > 2 and getattr(layer, "data_format", None) == "channels_first":
        raise ValueError(
            f"Expected activations whose last axis is that of the channels at "
            f"layer '{path}'. Received: a layer of "
            "data_format='channels_first'. Put a `keras.layers.Permute` behind "
            "it and name that one."
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


def some_layers(paths: Any, name: str) -> list[str]:
    """Returns the paths of one or several layers, if there are any."""
    paths = [paths] if isinstance(paths, str) else paths
    if isinstance(paths, Collection) and paths:
        return [layer_path(path, name) for path in paths]
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected the path of at least "
        f"one layer, such as 'avg_pool'. Received: {name}={paths!r}"
    )


def known_layer(
    path: str,
    known: Iterable[str],
    model_name: str,
    way_out: str = "`keras_otreg.features.summary(model)` prints all of them.",
) -> str:
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
        f"the {len(known)} paths of its layers. {hint}{way_out}"
    )


def single_tensor(value: Any, path: str) -> Any:
    """Returns the output of a layer if it is one tensor with a batch axis."""
    is_one = value is not None and not keras.tree.is_nested(value)
    if is_one and len(value.shape) >= 2:
        return value
    raise ValueError(
        f"Expected the layer at path {path!r} to return one tensor of shape "
        f"(batch, ..., units). Received: {value!r}. Mark the tensor that you "
        "mean with a `keras_otreg.layers.FeatureTap`."
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


def built_head(value: Any) -> Any:
    """Returns a head that has its weights."""
    if value.built:
        return value
    raise ValueError(
        f"Expected source head '{value.name}' to be built, because the input "
        "shape of the student is not on record. Call the head once on "
        "activations of the student."
    )


def misfit_head(
    name: str, at: str, shape: tuple[Any, ...], error: Exception
) -> ValueError:
    """The error of a source head that does not take its activations."""
    return ValueError(
        f"Expected source head '{name}' to take the activations at '{at}', of "
        f"shape {shape}. Received: {error}"
    )


def probabilities(values: Any, head: str) -> None:
    """Raises unless the rows of some values are distributions."""
    inside = values.min() >= -1e-6 and values.max() <= 1.0 + 1e-6
    if not inside or abs(values.sum(axis=-1) - 1.0).max() > 1e-2:
        raise ValueError(
            f"Expected {head} to return probabilities, because its predictions "
            "are transported with from_logits=False. Received: values from "
            f"{values.min():.3g} to {values.max():.3g} with row sums near "
            f"{values.sum(axis=-1).mean():.3g}. End it with a softmax, or set "
            "`from_logits` of the loss (a pair for source and target)."
        )


def paired_batch(is_pair: bool, expected: bool) -> None:
    """Raises unless the inputs of a step are paired where they should be."""
    if expected and not is_pair:
        raise ValueError(
            "Expected batches ((x_target, x_source), (y_target, y_source)) to "
            "train on, because the model has a source task. Received: target "
            "data alone. Pair them with `keras_otreg.data.paired(target, "
            "source, batch_size=...)`."
        )
    if is_pair and not expected:
        raise ValueError(
            "Expected target data alone. Received: a pair of target and source "
            "inputs, which only `fit` of a model with a `source_task` takes. "
            "Pass the target's half of it."
        )


def no_class_weight(class_weight: Any) -> None:
    """Raises if classes are weighted where batches hold those of two tasks."""
    if class_weight is not None:
        raise ValueError(
            "Expected `class_weight=None`, because the model has a source "
            "task: a batch holds the labels of two tasks, and Keras weights "
            f"classes of one. Received: class_weight={class_weight!r}. Weight "
            "the samples: `keras_otreg.data.paired((x, y, weights), "
            "(x_source, y_source, weights_source))`."
        )


def uncopied_model(name: str, error: Exception) -> ValueError:
    """The error of a model that cannot be copied to be its own teacher."""
    return ValueError(
        f"Model '{name}' cannot be copied to be its own teacher: {error} "
        "Either give it `get_config` and `from_config`, or pass a second "
        "instance of it with the same weights as `teacher=`."
    )


def pretrained_sizes(received: Any, expected: tuple[int, int]) -> None:
    """Raises unless a network takes and returns what its weights expect."""
    if received != expected:
        channels, classes = expected
        raise ValueError(
            f"Expected {channels} channels and {classes} classes, as the "
            f"pretrained weights have. Received: {received[0]} channels and "
            f"{received[1]} classes. Give the network a head of your own with "
            "include_top=False, or use weights=None."
        )


def trained_adapters(untrained: Iterable[str]) -> None:
    """Raises if penalties act through adapters that are not trained."""
    names = sorted(untrained)
    if names:
        raise ValueError(
            f"Expected a weight above 0 from the start of `fit` for {names}, "
            "whose adapters are not trained at weight 0. Received: a weight "
            "above 0 in the middle of it. Start from a small weight, such as "
            "1e-6"
        )
