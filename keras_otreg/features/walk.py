"""The layers of a model, by their paths."""

from collections.abc import Iterator
from typing import Any

import keras

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


def walk(
    model: Any, prefix: str = "", *, into_loops: bool = False
) -> Iterator[tuple[str, Any]]:
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
