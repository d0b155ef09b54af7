"""L2-SP on a whole model, in one call."""

import warnings
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.walk import children, walk
from keras_otreg.regularizers.starting_point import StartingPoint, Sum


def add_starting_point(
    model: keras.Model,
    strength: float = 0.1,
    exclude: Iterable[str] | None = None,
) -> keras.Model:
    """Pulls every weight of a model towards its present value (L2-SP).

    Regularisers that a weight already has are kept beside the new one; a
    starting point that it already has is replaced. The regularisers sit in the
    layers, and are saved with the model.

    Args:
        model: A built `keras.Model`, which is changed in place.
        strength: Factor of the penalty; see `StartingPoint`.
        exclude: Paths of layers to leave alone, with all that is inside. If
            not given, the last layer that has weights: the new task's head,
            whose start means nothing.

    Returns:
        The model.

    Raises:
        ValueError: If the model is not built, or a path is unknown.

    Example:
        ```python
        otreg.add_starting_point(model, 0.1, exclude=["head"])
        model.compile("adam", "sparse_categorical_crossentropy")
        ```
    """
    checks.built_model(model, "model")
    strength = checks.non_negative(strength, "strength")
    owners = dict(walk(model, into_loops=True))
    excluded = _last_with_weights(owners) if exclude is None else list(exclude)
    for path in excluded:
        checks.known_layer(path, owners, model.name)
    unsaved = []
    for path, layer in owners.items():
        if not any(f"{path}/".startswith(f"{name}/") for name in excluded):
            unsaved += [f"{path}/{x}" for x in _pull(layer, strength)]
    if unsaved:
        warnings.warn(
            f"Model '{model.name}' will not save the starting points of the "
            f"weights {unsaved}: their layers have no argument to keep a "
            "regulariser in. They act now; after loading the model, call "
            "`add_starting_point` again or name the layers in `exclude`.",
            stacklevel=2,
        )
    return model


def _pull(layer, strength):
    """Regularises a layer's own weights; returns those it cannot save."""
    inner = {id(v) for child in children(layer) for v in child.variables}
    unsaved = []
    for weight in layer.trainable_variables:
        if id(weight) in inner:
            continue
        start = StartingPoint(ops.convert_to_numpy(weight), strength)
        weight.regularizer = _beside(weight.regularizer, start)
        attribute = _attribute(layer, weight.name)
        if attribute is None:
            unsaved.append(weight.name)
        else:
            setattr(layer, attribute, weight.regularizer)
    return unsaved


def _beside(present: Any, start: StartingPoint) -> Any:
    several = present.regularizers if isinstance(present, Sum) else [present]
    kept = [
        regularizer
        for regularizer in several
        if regularizer is not None
        and not isinstance(regularizer, StartingPoint)
    ]
    return Sum([*kept, start]) if kept else start


def _attribute(layer, weight_name):
    """Where a layer keeps the regulariser of one of its weights."""
    names = [weight_name, weight_name.removesuffix("_kernel")]
    if weight_name == "kernel":
        names.append("depthwise")
    attributes = (f"{name}_regularizer" for name in names)
    return next((x for x in attributes if x in dir(layer)), None)


def _last_with_weights(owners):
    paths = [path for path, layer in owners.items() if layer.trainable_weights]
    return paths[-1:]
