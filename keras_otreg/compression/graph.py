"""The calls of a network in one flat list, and their run over samples."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches

BATCH_SIZE = 32
# Of tensors that are kept for later calls, in bytes.
MEMORY = 2**31


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


class Graph:
    """All calls of a Functional or Sequential network, in the order of a run.

    Read from `get_config`; nested networks are replaced by their own calls.
    `inputs` and `outputs` are keys of tensors; `entries` those that an
    `InputLayer` passes on, by its path.
    """

    def __init__(self, model: keras.Model):
        if not has_graph(model):
            raise checks.invalid(
                "a built Functional or Sequential network, whose layers can "
                "be listed in order",
                f"{type(model).__name__} '{getattr(model, 'name', model)}'",
                "Rebuild a subclassed network with the functional API, "
                "`keras.Model(inputs, outputs)`, or pass the Functional part "
                "of it; of a `TransferModel` pass its `student`.",
            )
        self.calls: list[Call] = []
        self.shapes: dict[int, tuple[int | None, ...]] = {}
        self.entries: dict[str, int] = {}
        inputs = keras.tree.flatten(model.inputs)
        self.inputs = [self._new(x.shape) for x in inputs]
        self.outputs = self._add(model, "", self.inputs)

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
        entries = _histories(config["input_layers"])
        made = dict(zip(entries, inputs, strict=True))
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


def _history(value) -> tuple[str, int, int] | None:
    """Layer, node and position of a described tensor; `None` of others."""
    kind = value.get("class_name") if isinstance(value, dict) else None
    is_tensor = kind == "__keras_tensor__"
    return tuple(value["config"]["keras_history"]) if is_tensor else None


def _sources(value) -> Collection[tuple[str, int, int]]:
    """The described tensors in a structure, each once, in their order."""
    found: dict[tuple[str, int, int], None] = {}

    def look(x):
        if history := _history(x):
            found[history] = None
        return history

    keras.tree.traverse(look, value)
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

    return keras.tree.traverse(made, value)


def _filled(value, values: Mapping[int, Any]) -> Any:
    """Arguments with tensors in the places of `Tensor`s."""

    def fill(x):
        return values[x.key] if isinstance(x, Tensor) else None

    return keras.tree.traverse(fill, value)


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


class Samples:
    """Batches of finite inputs of some networks that can be read repeatedly.

    They come from arrays, in the structure that the networks take, or from a
    data set of batches of inputs, or of tuples that begin with inputs.
    """

    def __init__(self, samples: Any, *models: keras.Model):
        is_data = isinstance(samples, keras.utils.PyDataset)
        self._is_array = not is_data and not hasattr(samples, "element_spec")
        self._samples = samples
        self._dtypes = [x.dtype for x in models[0].inputs]
        self.count = 0
        for batch in self:
            for model in models:
                _check(batch, model)
            self.count += len(batch[0])
        if not self.count:
            raise checks.invalid(
                "at least one sample in `samples`",
                "none",
                "A data set that can be read only once has to be made anew.",
            )

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches():
            # As a Functional network casts what it takes.
            yield [
                keras.ops.convert_to_tensor(x, dtype)
                for x, dtype in zip_longest(batch, self._dtypes)
            ]

    def _batches(self):
        if self._is_array:
            leaves = keras.tree.flatten(self._samples)
            for start in range(0, len(leaves[0]), BATCH_SIZE):
                yield [x[start : start + BATCH_SIZE] for x in leaves]
            return
        for batch in batches(self._samples):
            x = batch[0] if isinstance(batch, tuple) else batch
            yield keras.tree.flatten(x)


class Run:
    """The tensors of a network on all samples, one call after the other.

    What later calls need is kept for as many batches as fit into the memory;
    for the others the network runs again from its inputs.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self._bytes = 0
        self._kept: dict[int, tuple[int, dict[int, Any]]] = {}
        self._last = {key: -1 for key in graph.shapes}
        for index, call in enumerate(graph.calls):
            self._last |= dict.fromkeys(call.inputs, index)
        self._last |= dict.fromkeys(graph.outputs, len(graph.calls))

    def before(
        self, number: int, batch: list[Any], index: int, keys: Iterable[int]
    ) -> dict[int, Any]:
        """Some tensors of a numbered batch, by key, before a call."""
        position, live = self._kept.pop(number, (0, {}))
        self._bytes -= _bytes(live)
        if not live or position > index:
            live = dict(zip(self.graph.inputs, batch, strict=True))
            position = 0
        for call in self.graph.calls[position:index]:
            live |= call(live)
            position += 1
            live = {k: x for k, x in live.items() if self._last[k] >= position}
        if self._bytes + _bytes(live) < MEMORY:
            self._bytes += _bytes(live)
            self._kept[number] = (position, live)
        return {key: live[key] for key in keys}


def passed(
    samples: Samples, *wanted: Any
) -> Iterator[tuple[int, list[dict[int, Any]]]]:
    """Tensors of several networks on the same batches.

    Of each network are wanted its run, the index of a call, and the keys of
    tensors before this call. Yields, for each batch, the number of samples
    before it and the tensors of each network.
    """
    # A data set may give other batches each time it is read.
    start = 0
    for number, batch in enumerate(samples):
        yield start, [run.before(number, batch, *x) for run, *x in wanted]
        start += len(batch[0])


def moments(
    samples: Samples, run: Run, index: int, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel of a tensor before a call."""
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for _, (tensors,) in passed(samples, (run, index, [key])):
        x = keras.ops.convert_to_numpy(keras.ops.cast(tensors[key], "float32"))
        x = x.reshape(-1, x.shape[-1]).astype(np.float64)
        count += len(x)
        total = total + x.sum(axis=0)
        squares = squares + (x**2).sum(axis=0)
    mean = total / count
    return mean, np.maximum(squares / count - mean**2, 0.0)


def _check(batch, model):
    shapes = [tuple(x.shape) for x in keras.tree.flatten(model.inputs)]
    found = [tuple(x.shape) for x in batch]
    fits = len(shapes) == len(found) and all(
        len(one) == len(other)
        and all(n in (None, k) for n, k in zip(one[1:], other[1:], strict=True))
        for one, other in zip(shapes, found, strict=True)
    )
    if not fits:
        raise checks.invalid(
            f"`samples` of shapes {shapes}, which '{model.name}' takes",
            found,
            "Pass inputs without labels, or a data set of batches `(inputs, "
            "labels)`.",
        )
    for x in batch:
        values = keras.ops.convert_to_numpy(x)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            wrong = int((~np.isfinite(values)).any(-1).sum())
            raise checks.invalid(
                "finite `samples`",
                f"NaN or infinity in {wrong} places",
                "Remove these samples.",
            )


def _bytes(tensors):
    return sum(4 * int(np.prod(x.shape)) for x in tensors.values())
