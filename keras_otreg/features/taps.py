"""Activations of named layers and the prediction, in one forward pass."""

from collections.abc import Callable, Iterable
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
    """Run a model once; return its prediction and what layers returned.

    Works for Functional, Sequential and subclassed models, and for layers
    nested in them at any depth. The model is not changed.

    Args:
        model: A built `keras.Model`.
        inputs: What the model takes.
        paths: Paths of layers, such as `"backbone/block3_out"`; with `#k` at
            the end, the `k`-th call of a layer called repeatedly.
        training: Passed to the model.

    Returns:
        The prediction, and a dictionary from each path to a tensor.

    Raises:
        ValueError: If a path does not mean one tensor of the forward pass.

    Example:
        ```python
        prediction, found = capture(model, images, ["backbone/block3_out"])
        ```
    """
    return Taps(model, paths)(inputs, training)


class Taps:
    """Layers of a built model whose activations are read, found once."""

    def __init__(self, model: keras.Model, paths: Iterable[str]):
        checks.built_model(model, "model")
        known = {path for path, _ in walk(model)}
        self._model = model
        self._layers = {path: find_layer(model, path) for path in paths}
        self._calls = {x: split_call(x, known)[1] for x in self._layers}

    def __call__(
        self, inputs: Any, training: bool | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Run the model once; see `capture`."""
        found = {}
        with recording(self._layers.values()) as record:
            prediction = self._model(inputs, training=training)
        for path, layer in self._layers.items():
            calls, index = record[id(layer)], self._calls[path]
            found[path] = _one_tensor(calls, path, index)
        return prediction, found


def output_of(calls: dict[str, Any], path: str) -> Any:
    """Return the one output that a path means, of those of all layers."""
    layer, index = split_call(path, calls)
    return _one_tensor(calls[layer], path, index)


def _one_tensor(calls, path, index):
    if index is None and len(calls) == 1:
        index = 0
    if index is None or index >= len(calls):
        layer = path if index is None else path.rpartition("#")[0]
        choices = [f"{layer}#{k}" for k in range(len(calls))]
        raise checks.invalid(
            f"one output of the layer at path {path!r}",
            f"a layer that is called {len(calls)} times in this forward pass",
            f"Choose one of {choices}." if calls else "",
        )
    return checks.single_tensor(calls[index], path)


class Symbolic(keras.Operation):
    """A function of tensors, for a symbolic run by `compute_output_spec`."""

    def __init__(self, run: Callable[[Any], Any]):
        super().__init__()
        self._run = run

    def call(self, inputs: Any) -> Any:
        """Call the function."""
        return self._run(inputs)


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
    """Symbolic activations of every layer: a list by its path, one per call.

    `None` if the input shape is not known and no `inputs` are given.
    """
    inputs = input_spec(model) if inputs is None else inputs
    if inputs is None:
        return None
    layers = dict(walk(model))

    def run(inputs):
        with recording(layers.values()) as record:
            model(inputs, training=False)
        return {path: record[id(layer)] for path, layer in layers.items()}

    return Symbolic(run).compute_output_spec(inputs)
