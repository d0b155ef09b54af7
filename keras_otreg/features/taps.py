"""Activations of named layers and the prediction, in one forward pass."""

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
from keras_otreg.features.walk import find_layer, split_call, walk

# Each thread, and so each replica of a distributed step, has its own records;
# a model that is run inside another one's `call` adds one more.
_records: contextvars.ContextVar[tuple[dict[int, list[Any]], ...]] = (
    contextvars.ContextVar("records", default=())
)
_changes: contextvars.ContextVar[dict[int, Callable[[Any], Any]]] = (
    contextvars.ContextVar("changes", default={})  # noqa: B039
)
_lock = threading.Lock()
_users: dict[int, int] = {}
# Keras calls one of the first two, or goes through the third.
_METHODS = ("call", "quantized_call", "rematerialized_call")


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


@contextlib.contextmanager
def recording(layers: Iterable[Any]) -> Iterator[dict[int, list[Any]]]:
    """Record every output of some layers, in lists by the `id` of the layer.

    In the block they are not rematerialised: no gradient comes back through
    their insides.
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
    """Changes how many watch a layer; for the first, its methods as well."""
    own = vars(layer)
    with _lock:
        _users[id(layer)] = _users.get(id(layer), 0) + change
        if _users[id(layer)] == 1 and change == 1:
            # Into the instance's dictionary, past the tracking of Keras.
            for method in ("call", "quantized_call"):
                own[method] = _recorded(layer, getattr(layer, method))
            own["rematerialized_call"] = lambda call, *_, **__: call
        elif not _users[id(layer)]:
            del _users[id(layer)]
            original = own["call"].__wrapped__
            for method in _METHODS:
                del own[method]
            if original != layer.call:
                # The caller had put a method of its own there.
                own["call"] = original


def _recorded(layer, call):
    @functools.wraps(call)
    def recorded_call(*args, **kwargs):
        outputs = call(*args, **kwargs)
        if id(layer) in _changes.get():
            outputs = _changes.get()[id(layer)](outputs)
        for record in _records.get():
            if id(layer) in record:
                record[id(layer)].append(outputs)
        return outputs

    return recorded_call


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
    """Symbolic outputs of each call of every layer by path, if known."""
    inputs = input_spec(model) if inputs is None else inputs
    if inputs is None:
        return None
    layers = dict(walk(model))

    def run(inputs):
        with recording(layers.values()) as record:
            model(inputs, training=False)
        return {path: record[id(layer)] for path, layer in layers.items()}

    return Symbolic(run).compute_output_spec(inputs)


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
            rows.append((name, type(layer).__name__, _shape(call)))
    return rows


def _shape(call: Any) -> str:
    if call is None:
        return "?"
    shapes = keras.tree.map_structure(
        lambda x: None if x is None else tuple(x.shape), call
    )
    return str(shapes)
