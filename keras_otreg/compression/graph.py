"""The calls of a network, nested networks included, in one flat list."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras


class Tensor(NamedTuple):
    """Stands for a tensor of a graph inside the arguments of a call."""

    key: int


class Call(NamedTuple):
    """One call of a layer or an operation.

    `inputs` and `outputs` are keys of tensors, in order; in `args` and
    `kwargs` a `Tensor` stands for each.
    """

    path: str
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    args: Any
    kwargs: Any

    def __call__(self, values: Mapping[int, Any]) -> dict[int, Any]:
        """Return the tensors of `outputs`, given those of `inputs`."""
        args, kwargs = _filled((self.args, self.kwargs), values)
        found = keras.tree.flatten(self.layer(*args, **kwargs))
        return dict(zip(self.outputs, found, strict=True))


@dataclasses.dataclass
class Graph:
    """All calls of a Functional or Sequential network, in the order of a run.

    The graph is read from `get_config`, the form in which Keras saves a
    network; nested networks are replaced by their own calls. `inputs` and
    `outputs` are keys of tensors; `entries` those that an `InputLayer` passes
    on, by its path.
    """

    calls: list[Call]
    inputs: list[int]
    outputs: list[int]
    shapes: dict[int, tuple[int | None, ...]]
    entries: dict[str, int]

    @classmethod
    def of(cls, model: keras.Model) -> "Graph":
        """Read the graph of a network; raise if it has none."""
        if not has_graph(model):
            raise ValueError(
                "Expected a built Functional or Sequential network, whose "
                "layers can be listed in order. Received: "
                f"{type(model).__name__} '{getattr(model, 'name', model)}'. "
                "Rebuild a subclassed network with the functional API, "
                "`keras.Model(inputs, outputs)`, or pass the Functional part "
                "of it; of a `TransferModel` pass its `student`."
            )
        graph = cls([], [], [], {}, {})
        inputs = keras.tree.flatten(model.inputs)
        graph.inputs = [graph._new(x.shape) for x in inputs]
        graph.outputs = graph._add(model, "", graph.inputs)
        return graph

    def consumers(self) -> dict[int, list[int]]:
        """Indices of the calls that take each tensor, by its key."""
        found: dict[int, list[int]] = {key: [] for key in self.shapes}
        for index, call in enumerate(self.calls):
            for key in call.inputs:
                found[key].append(index)
        return found

    def _new(self, shape):
        key = len(self.shapes)
        self.shapes[key] = tuple(shape)
        return key

    def _add(self, model, prefix, inputs):
        """Add the calls of a network; return the keys of its outputs."""
        config = model.get_config()
        if isinstance(model, keras.Sequential):
            entry = config["layers"][0]["config"]["name"]
            self.entries[f"{prefix}{entry}"] = inputs[0]
            for layer in model.layers:
                inputs = self._call(layer, prefix, tuple(inputs), None)
            return list(inputs)
        layers = {x.name: x for x in model.operations}
        made = dict(
            zip(_histories(config["input_layers"]), inputs, strict=True)
        )
        self.entries |= {prefix + name: k for (name, *_), k in made.items()}
        waiting = list(_nodes(config))
        while waiting:
            ready = [x for x in waiting if set(x.sources) <= made.keys()]
            for node in ready:
                keys = tuple(made[x] for x in node.sources)
                outputs = self._call(layers[node.name], prefix, keys, node)
                for output, key in enumerate(outputs):
                    made[node.name, node.position, output] = key
            waiting = [x for x in waiting if x not in ready]
        return [made[x] for x in _histories(config["output_layers"])]

    def _call(self, layer, prefix, inputs, node):
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras.layers.InputLayer):
            return list(inputs)
        if has_graph(layer):
            return self._add(layer, f"{path}/", inputs)
        args, kwargs = [Tensor(inputs[0])], {}
        if node is not None:
            keys = dict(zip(node.sources, inputs, strict=True))
            args, kwargs = _tensors((node.args, node.kwargs), keys)
        dtype = getattr(layer, "input_dtype", None) or keras.config.floatx()
        specs = {k: keras.KerasTensor(self.shapes[k], dtype) for k in inputs}
        filled, named = _filled((args, kwargs), specs)
        found = keras.tree.flatten(layer.compute_output_spec(*filled, **named))
        outputs = tuple(self._new(x.shape) for x in found)
        self.calls.append(Call(path, layer, inputs, outputs, args, kwargs))
        return list(outputs)


def has_graph(layer: Any) -> bool:
    """Whether a layer is a built Functional or Sequential network."""
    if isinstance(layer, keras.Sequential):
        return layer.built and bool(layer.layers)
    return isinstance(layer, keras.Model) and hasattr(layer, "operations")


class _Node(NamedTuple):
    """A node in the config of a Functional network."""

    name: str
    position: int
    sources: tuple[tuple[str, int, int], ...]
    args: Any
    kwargs: Any


def _nodes(config) -> Iterator[_Node]:
    for layer in config["layers"]:
        for position, node in enumerate(layer["inbound_nodes"]):
            args, kwargs = node["args"], node["kwargs"]
            sources = tuple(_sources((args, kwargs)))
            yield _Node(layer["name"], position, sources, args, kwargs)


def _histories(structure) -> list[tuple[str, int, int]]:
    """Leaves `(layer, node, position)` of nested lists and dictionaries."""
    if isinstance(structure, dict):
        structure = list(structure.values())
    if structure and isinstance(structure[0], str):
        return [tuple(structure)]
    return [leaf for x in structure for leaf in _histories(x)]


def _mapped(value, change: Callable[[Any], Any]) -> Any:
    """A structure, parts of which are what `change` returns unless `None`."""
    if (found := change(value)) is not None:
        return found
    if isinstance(value, dict):
        return {k: _mapped(x, change) for k, x in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(x, change) for x in value)
    return value


def _history(value) -> tuple[str, int, int] | None:
    """Layer, node and position of a described tensor; `None` of others."""
    if (
        isinstance(value, dict)
        and value.get("class_name") == "__keras_tensor__"
    ):
        return tuple(value["config"]["keras_history"])
    return None


def _sources(value) -> list[tuple[str, int, int]]:
    found: dict[tuple[str, int, int], None] = {}

    def look(x):
        if history := _history(x):
            found[history] = None
        return history

    _mapped(value, look)
    return list(found)


def _tensors(value, keys) -> Any:
    """Arguments with a `Tensor` for each described one, constants as such."""

    def made(x):
        if history := _history(x):
            return Tensor(keys[history])
        if isinstance(x, dict) and "class_name" in x:
            if _sources(x):
                # A tuple that holds tensors.
                return tuple(_tensors(x["config"]["value"], keys))
            return keras.saving.deserialize_keras_object(x)
        return None

    return _mapped(value, made)


def _filled(value, values: Mapping[int, Any]) -> Any:
    """Arguments with tensors in the places of `Tensor`s."""
    return _mapped(
        value, lambda x: values[x.key] if isinstance(x, Tensor) else None
    )


def edited(
    config: Any, edit: Callable[[str, dict[str, Any]], None], prefix: str = ""
) -> Any:
    """The config of a network in which some layers have other arguments.

    `edit` is called with the path of each layer, which begins with `prefix`,
    and with a copy of the layer's config, which it may change.
    """
    config = {k: v for k, v in config.items() if k != "build_input_shape"}
    layers = []
    for saved in config["layers"]:
        layer = {k: v for k, v in saved.items() if k != "build_config"}
        inner = layer["config"]
        path = prefix + layer.get("name", inner.get("name", ""))
        if "layers" in inner:
            layer["config"] = edited(inner, edit, f"{path}/")
            layer.pop("compile_config", None)
        else:
            layer["config"] = dict(inner)
            edit(path, layer["config"])
        layers.append(layer)
    config["layers"] = layers
    return config
