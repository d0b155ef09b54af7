"""The calls of a network, nested networks included, in one flat list."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
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
                inputs = self._call(layer, prefix, dict(enumerate(inputs)))
            return inputs
        layers = {x.name: x for x in model.operations}
        made = dict(
            zip(_histories(config["input_layers"]), inputs, strict=True)
        )
        self.entries |= {prefix + name: k for (name, *_), k in made.items()}
        nodes = {
            (x["name"], position): (node, _sources(node))
            for x in config["layers"]
            for position, node in enumerate(x["inbound_nodes"])
        }
        while nodes:
            for place in [k for k, x in nodes.items() if made.keys() >= x[1]]:
                node, sources = nodes.pop(place)
                keys = {source: made[source] for source in sources}
                outputs = self._call(layers[place[0]], prefix, keys, node)
                made |= {(*place, k): key for k, key in enumerate(outputs)}
        return [made[x] for x in _histories(config["output_layers"])]

    def _call(self, layer, prefix, keys, node=None):
        """Add a call that takes tensors of the `keys` of some sources."""
        path, inputs = f"{prefix}{layer.name}", tuple(keys.values())
        if isinstance(layer, keras.layers.InputLayer):
            return list(inputs)
        if has_graph(layer):
            return self._add(layer, f"{path}/", inputs)
        args, kwargs = [Tensor(inputs[0])], {}
        if node is not None:
            args, kwargs = _tensors((node["args"], node["kwargs"]), keys)
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


def _sources(value) -> Collection[tuple[str, int, int]]:
    """The described tensors in a structure, each once, in their order."""
    found: dict[tuple[str, int, int], None] = {}

    def look(x):
        if history := _history(x):
            found[history] = None
        return history

    _mapped(value, look)
    return found.keys()


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
