"""Layers by their paths, and their activations in one forward pass."""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import rich.console
import rich.table

from keras_otreg import checks

# These call their layer inside a loop, from which no tensor can be taken.
LOOPS = (keras.layers.RNN, keras.layers.Wrapper)
# These may follow the last layer with weights.
ENDS = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Reshape,
    keras.layers.Softmax,
)
# Each thread, and so each replica of a distributed step, has its own records;
# a model that is run inside another one's `call` adds one more.
_records: Any = contextvars.ContextVar("records", default=())
_changes: Any = contextvars.ContextVar("changes", default={})  # noqa: B039
_lock = threading.Lock()
_users: dict[int, int] = {}
# Keras calls one of the first two, or goes through the third.
_METHODS = ("call", "quantized_call", "rematerialized_call")


def children(layer: Any) -> list[Any]:
    """The layers directly inside a model or a composite layer."""
    if isinstance(layer, keras.Model):
        inputs = keras.layers.InputLayer
        return [x for x in layer.layers if not isinstance(x, inputs)]
    # PyTorch keeps the layers among the attributes in a dictionary of its own.
    known = {**vars(layer), **vars(layer).get("_modules", {})}
    public = (v for k, v in known.items() if not k.startswith("_"))
    found = keras.tree.flatten(list(public))
    layers = {id(x): x for x in found if isinstance(x, keras.layers.Layer)}
    return list(layers.values())


def walk(model: Any, prefix: str = "", *, into_loops=False) -> Iterator[Any]:
    """Yield the path and the layer of everything inside, outer layers first."""
    if isinstance(model, LOOPS) and not into_loops:
        return
    for layer in children(model):
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from walk(layer, f"{path}/", into_loops=into_loops)


def split_call(path: str, known: Any) -> tuple[str, int | None]:
    """Split `"encoder#1"` into the layer and the number of the call."""
    layer, mark, call = path.rpartition("#")
    if path in known or not mark or not call.isdecimal():
        return path, None
    return layer, int(call)


def find_layer(model: Any, path: str) -> Any:
    """Return the layer at a path, such as `"backbone/block3_out"`.

    `#k` at its end stands for the `k`-th call of a layer called repeatedly.
    """
    layers: dict[str, list[Any]] = {}
    for known, layer in walk(model):
        layers.setdefault(known, []).append(layer)
    name, _ = split_call(path, layers)
    found = layers[checks.known_layer(name, layers, model.name)]
    if len({id(layer) for layer in found}) > 1:
        raise checks.invalid(
            f"one layer at path {name!r} of model '{model.name}'",
            f"{len(found)} layers of that name",
            "Give them different names, or mark the tensor that you mean with "
            "a `keras_otreg.layers.FeatureTap`.",
        )
    return found[0]


def end_of(network: keras.Model) -> tuple[Any, set[str]]:
    """Return the last layer with weights, and the activations from it on."""
    layers = list(network.layers)
    ends = []
    while layers and isinstance(layers[-1], ENDS):
        ends.append(layers.pop())
    last = layers[-1] if layers else None
    names = {"softmax" for x in ends if isinstance(x, keras.layers.Softmax)}
    for layer in (last, *ends):
        activation = getattr(layer, "activation", None)
        names.add(getattr(activation, "__name__", "linear"))
    return last, names


def capture(
    model: keras.Model,
    inputs: Any,
    paths: Iterable[str],
    training: bool | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Run a model once; return its prediction and tensors of layers by path.

    Works for any `keras.Model`, and for layers nested in it at any depth.

    Args:
        model: A built `keras.Model`, which is not changed.
        inputs: What the model takes.
        paths: Paths of layers, such as `"backbone/block3_out"`; with `#k` at
            the end, the `k`-th call of a layer called repeatedly.
        training: Passed to the model.

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

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Run the model once; see `capture`."""
        found = {}
        with recording(self._layers.values()) as record:
            prediction = self._model(inputs, training=training)
        for path, layer in self._layers.items():
            calls, index = record[id(layer)], self._calls[path]
            found[path] = _one_tensor(calls, path, index)
        return prediction, found


@contextlib.contextmanager
def recording(layers: Iterable[Any]) -> Iterator[dict[int, list[Any]]]:
    """Record every output of some layers, in lists by the `id` of the layer.

    In the block they are not rematerialised.
    """
    record: dict[int, list[Any]] = {}
    watched = []
    for layer in layers:
        if id(layer) not in record:
            record[id(layer)] = []
            watched.append(layer)
            _watch(layer, 1)
    token = _records.set((*_records.get(), record))
    try:
        yield record
    finally:
        _records.reset(token)
        for layer in watched:
            _watch(layer, -1)


@contextlib.contextmanager
def changing(layer: Any, change: Callable[[Any], Any]) -> Iterator[None]:
    """Have a layer return `change(outputs)` within the block."""
    with recording([layer]):
        token = _changes.set({**_changes.get(), id(layer): change})
        try:
            yield
        finally:
            _changes.reset(token)


def _watch(layer, change):
    """Change how many watch a layer; for the first, its methods as well."""
    own = vars(layer)
    with _lock:
        _users[id(layer)] = _users.get(id(layer), 0) + change
        if _users[id(layer)] == 1 and change == 1:
            # Into the instance's dictionary, past the tracking of Keras.
            for method in ("call", "quantized_call"):
                call = getattr(layer, method)
                recorded = functools.partial(_recorded_call, layer, call)
                own[method] = functools.update_wrapper(recorded, call)
            own["rematerialized_call"] = lambda call, *_, **__: call
        elif not _users[id(layer)]:
            del _users[id(layer)]
            original = own["call"].__wrapped__
            for method in _METHODS:
                del own[method]
            if original != layer.call:
                # The caller had put a method of its own there.
                own["call"] = original


def _recorded_call(layer, call, /, *args, **kwargs):
    outputs = call(*args, **kwargs)
    if id(layer) in _changes.get():
        outputs = _changes.get()[id(layer)](outputs)
    for record in _records.get():
        if id(layer) in record:
            record[id(layer)].append(outputs)
    return outputs


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


def symbolic_outputs(run: Callable[[Any], Any], inputs: Any) -> Any:
    """Return what a function of tensors makes of symbolic ones."""
    operation = keras.Operation()
    vars(operation)["call"] = run
    return operation.compute_output_spec(inputs)


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
    """Symbolic outputs of each call of every layer by path, if known."""
    inputs = input_spec(model) if inputs is None else inputs
    if inputs is None:
        return None
    layers = dict(walk(model))

    def run(inputs):
        with recording(layers.values()) as record:
            model(inputs, training=False)
        return {path: record[id(layer)] for path, layer in layers.items()}

    return symbolic_outputs(run, inputs)


def summary(model: keras.Model) -> None:
    """Print every path of a model that can be captured, with its shape.

    Args:
        model: A built `keras.Model`.

    Example:
        ```python
        otreg.features.summary(model)
        ```
    """
    table = rich.table.Table("path", "layer", "output shape")
    for row in summary_rows(model):
        table.add_row(*row)
    # As wide as it needs: a path that is cut short cannot be copied.
    console = rich.console.Console(width=10**6, markup=False, emoji=False)
    console.print(table)


def summary_rows(model: keras.Model) -> list[tuple[str, str, str]]:
    """Return path, class and output shape of each call of each layer."""
    specs = activation_specs(model) or {}
    rows = []
    for path, layer in walk(model):
        calls = specs.get(path, [None])
        for index, call in enumerate(calls):
            name = path if len(calls) == 1 else f"{path}#{index}"
            shapes = "?"
            if call is not None:
                shapes = keras.tree.map_structure(
                    lambda x: None if x is None else tuple(x.shape), call
                )
            rows.append((name, type(layer).__name__, str(shapes)))
    return rows
