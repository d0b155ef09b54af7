"""Activations of named layers and the prediction, in one forward pass."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.recording import recording
from keras_otreg.features.walk import find_layer, split_call, walk


def capture(
    model: keras.Model,
    inputs: Any,
    paths: Iterable[str],
    training: bool | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Runs a model once; returns its prediction and what layers returned.

    Works for Functional, Sequential and subclassed models, and for layers
    nested in them at any depth. The model is not changed.

    Args:
        model: A built `keras.Model`.
        inputs: What the model takes.
        paths: Paths of layers; see `find_layer`.
        training: Passed to the model.

    Returns:
        The prediction, and a dictionary from each path to a tensor.

    Raises:
        ValueError: If a path names no layer, a layer that the model did not
            call, one that it called repeatedly and no call was chosen, or one
            that returns several tensors.

    Example:
        ```python
        prediction, found = capture(model, images, ["backbone/block3_out"])
        ```
    """
    checks.built_model(model, "model")
    layers = {path: find_layer(model, path) for path in paths}
    with recording(layers.values()) as record:
        prediction = model(inputs, training=training)
    calls = {
        path: record[id(layer)]
        for path, layer in walk(model)
        if id(layer) in record
    }
    return prediction, {path: output_of(calls, path) for path in layers}


def output_of(calls: dict[str, Any], path: str) -> Any:
    """The one output that a path means, of all that were recorded.

    Args:
        calls: The outputs of the calls of each layer, by its path.
        path: Path of a layer, with the choice of a call where it needs one.

    Returns:
        A tensor, of shape `(batch, ..., units)`.
    """
    layer, index = split_call(path, calls)
    call = checks.chosen_call(calls[layer], path, index)
    return checks.single_tensor(call, path)


class _Probe(keras.Operation):
    """Finds the shapes of all activations without computing any."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, inputs):
        layers = dict(walk(self.model))
        with recording(layers.values()) as record:
            self.model(inputs, training=False)
        return {path: record[id(layer)] for path, layer in layers.items()}


def input_spec(model: keras.Model) -> Any:
    """Return the symbolic inputs of a built model; `None` if unknown."""
    if not model.built:
        return None
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    if getattr(model, "inputs", None):
        return model.input
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    shapes = _untracked(shape)
    return keras.tree.map_shape_structure(keras.KerasTensor, shapes)


def _untracked(shapes):
    """Return dictionaries and lists of Keras as those of Python, for JAX."""
    if isinstance(shapes, dict):
        return {key: _untracked(value) for key, value in shapes.items()}
    if isinstance(shapes, list):
        return [_untracked(value) for value in shapes]
    return shapes


def activation_specs(model: keras.Model, inputs: Any = None) -> Any:
    """Symbolic activations of every layer, one for each of its calls.

    Args:
        model: A built `keras.Model`.
        inputs: Symbolic inputs; those of the model if not given.

    Returns:
        A dictionary from path to a list of `KerasTensor`s (or of structures
        of them), or `None` for a model whose input shape is not known.
    """
    inputs = input_spec(model) if inputs is None else inputs
    if inputs is None:
        return None
    return _Probe(model).compute_output_spec(inputs)
