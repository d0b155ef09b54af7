"""The calls of a network in one flat list, and their run over samples."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches

BATCH_SIZE = 32
# Of tensors that are kept for later calls, in bytes.
MEMORY = 2**31


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Stands for a tensor inside the arguments of a call."""

    key: Any


class Call(NamedTuple):
    """One call of a layer or an operation.

    `inputs` and `outputs` are keys of tensors, in order; in `arguments`, the
    list and the dictionary of a call, a `Tensor` stands for each.
    """

    path: str
    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Any

    def __call__(self, values: Mapping[int, Any]) -> dict[int, Any]:
        """Return the tensors of `outputs`, given those of `inputs`."""
        args, kwargs = _filled(self.arguments, values)
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
        self.inputs = self._new(keras.tree.flatten(model.inputs))
        self.outputs = self._add(model, "", self.inputs)

    def _new(self, tensors):
        """Keys of new tensors."""
        first = len(self.shapes)
        self.shapes |= {
            first + k: tuple(x.shape) for k, x in enumerate(tensors)
        }
        return list(range(first, len(self.shapes)))

    def _add(self, model, prefix, inputs):
        """Add the calls of a network; return the keys of its outputs."""
        config = model.get_config()
        if isinstance(model, keras.Sequential):
            entry = config["layers"][0]["config"]["name"]
            self.entries[f"{prefix}{entry}"] = inputs[0]
            for layer in model.layers:
                inputs = self._call(layer, prefix, ([Tensor(inputs[0])], {}))
            return inputs
        layers = {x.name: x for x in model.operations}
        made = dict(zip(_places(config["input_layers"]), inputs, strict=True))
        self.entries |= {prefix + name: k for (name, *_), k in made.items()}
        nodes = {}
        for x in config["layers"]:
            for number, node in enumerate(x["inbound_nodes"]):
                arguments = _arguments((node["args"], node["kwargs"]))
                nodes[x["name"], number] = arguments, _keys(arguments)
        while nodes:
            keys = {place: Tensor(key) for place, key in made.items()}
            ready = [k for k, x in nodes.items() if made.keys() >= x[1]]
            for name, number in ready:
                arguments = _filled(nodes.pop((name, number))[0], keys)
                outputs = self._call(layers[name], prefix, arguments)
                made |= {(name, number, k): x for k, x in enumerate(outputs)}
        return [
            # Keras counts the outputs of a Functional network from 1.
            made[name, number - hasattr(layers[name], "operations"), k]
            for name, number, k in _places(config["output_layers"])
        ]

    def _call(self, layer, prefix, arguments):
        """Add a call; return the keys of its outputs."""
        path, inputs = f"{prefix}{layer.name}", tuple(_keys(arguments))
        if has_graph(layer):
            return self._add(layer, f"{path}/", inputs)
        dtype = getattr(layer, "input_dtype", None) or keras.config.floatx()
        specs = {k: keras.KerasTensor(self.shapes[k], dtype) for k in inputs}
        args, kwargs = _filled(arguments, specs)
        found = layer.compute_output_spec(*args, **kwargs)
        outputs = self._new(keras.tree.flatten(found))
        self.calls.append(Call(path, layer, inputs, tuple(outputs), arguments))
        return outputs


def has_graph(layer: Any) -> bool:
    """Whether a layer is a built Functional or Sequential network."""
    if isinstance(layer, keras.Sequential):
        return layer.built and bool(layer.layers)
    return isinstance(layer, keras.Model) and hasattr(layer, "operations")


def _places(structure):
    """Layer, node and position of each tensor in a structure of a config."""
    flat = keras.tree.flatten(structure)
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _arguments(value):
    """Arguments in a config, with a `Tensor` of its place for each tensor."""

    def made(x):
        if not isinstance(x, dict) or "class_name" not in x:
            return None
        if x["class_name"] == "__keras_tensor__":
            return Tensor(tuple(x["config"]["keras_history"]))
        if x["class_name"] == "__tuple__":
            return tuple(_arguments(x["config"]["value"]))
        return keras.saving.deserialize_keras_object(x)

    return keras.tree.traverse(made, value)


def _keys(arguments):
    """The keys of tensors in arguments, each once, in order."""
    leaves = keras.tree.flatten(arguments)
    return {x.key: None for x in leaves if isinstance(x, Tensor)}.keys()


def _filled(arguments, values: Mapping[Any, Any]) -> Any:
    """Arguments with values in the places of tensors."""
    return keras.tree.map_structure(
        lambda x: values[x.key] if isinstance(x, Tensor) else x, arguments
    )


def edited(
    config: dict[str, Any], edit: Callable[..., None], prefix: str = ""
) -> dict[str, Any]:
    """Change the config of a network, as `get_config` returns it.

    `edit` is called with the path of each layer, which begins with `prefix`,
    and with the layer's config, which it may change.
    """
    config.pop("build_input_shape", None)
    for layer in config["layers"]:
        layer.pop("build_config", None)
        inner = layer["config"]
        path = prefix + layer.get("name", inner.get("name", ""))
        if "layers" in inner:
            layer.pop("compile_config", None)
            edited(inner, edit, f"{path}/")
        else:
            edit(path, inner)
    return config


class Samples:
    """Batches of finite inputs of some networks that can be read repeatedly.

    They come from arrays, in the structure that the networks take, or from a
    data set of batches of inputs, or of tuples that begin with inputs.
    """

    def __init__(self, samples: Any, *models: keras.Model):
        self._samples = samples
        self._dtypes = [x.dtype for x in models[0].inputs]
        self.count = self.readings = 0
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
        self.readings += 1
        for batch in self._batches():
            # As a Functional network casts what it takes.
            yield [
                keras.ops.convert_to_tensor(x, dtype)
                for x, dtype in zip_longest(batch, self._dtypes)
            ]

    def _batches(self):
        samples = self._samples
        is_data = isinstance(samples, keras.utils.PyDataset)
        if is_data or hasattr(samples, "element_spec"):
            for batch in batches(samples):
                x = batch[0] if isinstance(batch, tuple) else batch
                yield keras.tree.flatten(x)
            return
        leaves = keras.tree.flatten(samples)
        for start in range(0, len(leaves[0]), BATCH_SIZE):
            yield [x[start : start + BATCH_SIZE] for x in leaves]


class Run:
    """The tensors of a network on all samples, one call after the other.

    What later calls need is kept for as many batches as fit into the memory;
    for the others the network runs again from its inputs.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self._bytes = 0
        # By the number of a batch: in which reading of the samples it was seen,
        # how many calls were made, and the tensors.
        self._kept: dict[int, tuple[int, int, dict[int, Any]]] = {}
        self._last = {key: -1 for key in graph.shapes}
        for index, call in enumerate(graph.calls):
            self._last |= dict.fromkeys(call.inputs, index)
        self._last |= dict.fromkeys(graph.outputs, len(graph.calls))

    def reading(self, number: int, index: int) -> int | None:
        """In which reading a batch was seen, if it is kept before a call."""
        reading, position, _ = self._kept.get(number, (None, 0, {}))
        return reading if position <= index else None

    def forget(self, number: int) -> None:
        """Begin a batch again at the inputs."""
        self._bytes -= _bytes(self._kept.pop(number, (0, 0, {}))[2])

    def before(
        self, number: int, batch: list[Any], index: int, reading: int
    ) -> dict[int, Any]:
        """What a call and later ones need of a numbered batch, by key."""
        if self.reading(number, index) is None:
            self.forget(number)
        inputs = dict(zip(self.graph.inputs, batch, strict=True))
        reading, position, live = self._kept.get(number, (reading, 0, inputs))
        self.forget(number)
        for call in self.graph.calls[position:index]:
            live = live | call(live)
            position += 1
            live = {k: x for k, x in live.items() if self._last[k] >= position}
        if self._bytes + _bytes(live) < MEMORY:
            self._bytes += _bytes(live)
            self._kept[number] = (reading, position, live)
        return live


def passed(
    samples: Samples, *wanted: tuple[Run, int]
) -> Iterator[tuple[int, list[dict[int, Any]]]]:
    """Tensors of runs before their calls `wanted`, on the same batches.

    Yields, for each batch, the number of samples before it and the tensors.
    """
    start = 0
    for number, batch in enumerate(samples):
        # A shuffled data set gives other batches each time it is read.
        if len({run.reading(number, x) for run, x in wanted}) > 1:
            for run, _ in wanted:
                run.forget(number)
        yield (
            start,
            [
                run.before(number, batch, x, samples.readings)
                for run, x in wanted
            ],
        )
        start += len(batch[0])


def moments(
    samples: Samples, run: Run, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel of what a call takes."""
    key = run.graph.calls[index].inputs[0]
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for _, (tensors,) in passed(samples, (run, index)):
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
        checks.finite_array(keras.ops.convert_to_numpy(x), "samples", 1)


def _bytes(tensors):
    return sum(4 * int(np.prod(x.shape)) for x in tensors.values())
