"""Layers of a network by their role: features, heads, ends of blocks."""

import keras
import numpy as np
from keras import layers as L

from keras_otreg import checks
from keras_otreg.features import taps
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.networks import picture_shape

FEATURES, HEAD = "avg_pool", "head"
# What may come behind the layer of neurons that a classifier ends with.
ENDS = (L.Activation, L.Dropout, L.Flatten, L.Reshape, L.Softmax)
# Without an attribute that says so.
ACTIVATIONS = (L.ELU, L.LeakyReLU, L.PReLU, L.ReLU, L.Softmax)
# These leave numbers as they are.
SHAPES = (L.Dropout, L.Flatten, L.Reshape)
GLOBAL_POOLINGS = (L.GlobalAveragePooling2D, L.GlobalMaxPooling2D)
POOLINGS = (L.AveragePooling2D, L.MaxPooling2D, *GLOBAL_POOLINGS)
# Where branches meet, or a block says that it ends.
MERGES = (L.Add, L.Average, L.Concatenate, L.Maximum)
BLOCK_ENDS = (*MERGES, L.Identity, keras.Model)
# Of channels, inside a block.
GATES = L.Multiply
FEWEST = 3
INSPECT = "`keras-otreg inspect MODEL.keras` lists those of a file"


def features_of(model):
    """The layer whose output goes into a new head by default.

    It is `avg_pool` where that is the last pooling, else what the last layer
    of neurons reads, or the last layer of a network without a head. Where the
    last layer is a network that ends with a softmax, it is a path into it.
    """
    chain = model.layers
    last = _last_but(chain, ENDS)
    if _ends_with_softmax(chain[last]):
        own, inner = features_of(chain[last]), chain[last].layers
        inputs = [x.name for x in inner if isinstance(x, L.InputLayer)]
        # Behind its first layer there is all of it, or nearly.
        if own in (inputs or [inner[0].name]):
            return chain[max(0, last - 1)].name
        return f"{chain[last].name}/{own}"
    is_head = _is_head(model, last)
    scores = None if is_head else _scores_of(model)
    if scores is not None:
        return chain[max(0, scores - 1)].name
    poolings = [x.name for x in chain if isinstance(x, POOLINGS)]
    if poolings[-1:] == [FEATURES]:
        return FEATURES
    return chain[max(0, last - 1) if is_head else -1].name


def _ends_with_softmax(layer):
    """Whether a layer is a network that returns probabilities of classes."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "layers", ()):
        return False
    last = layer.layers[_last_but(layer.layers, ENDS)]
    return _scores_of(layer) is not None or _ends_with_softmax(last)


def _last_but(chain, kinds):
    """The place of the last layer that is of none of some kinds."""
    last = len(chain) - 1
    while isinstance(chain[last], kinds) and last > 0:
        last -= 1
    return last


def _scores_of(model):
    """Place of the layer with a number per class, or of the softmax."""
    place = _last_but(model.layers, (*ENDS, *ACTIVATIONS, *POOLINGS))
    ends = enumerate(model.layers[place:], place)
    softmax = next((k for k, layer in ends if _is_softmax(layer)), None)
    filters = getattr(model.layers[place], "filters", None)
    is_scores = filters is not None and filters == model.output_shape[-1]
    return place if softmax is not None and is_scores else softmax


def _is_softmax(layer):
    activation = getattr(layer, "activation", None)
    return activation is keras.activations.softmax or isinstance(
        layer, L.Softmax
    )


def _is_head(model, place):
    """Whether a layer returns what a network returns: a number per class."""
    layer = model.layers[place]
    if isinstance(layer, L.Conv2D) and layer.kernel_size == (1, 1):
        return getattr(model, "output_shape", ())[1:] == (layer.filters,)
    return isinstance(layer, L.Dense)


def place_of(model):
    """The layer of neurons that the head reads, before any dropout."""
    *inner, name = features_of(model).split("/")
    for one in inner:
        model = model.get_layer(one)
    names = [layer.name for layer in model.layers]
    place = _last_but(model.layers[: names.index(name) + 1], L.Dropout)
    return "/".join([*inner, names[place]])


def with_new_head(teacher, at, classes, seed):
    """Return a copy of a network up to the layer `at`, with a new softmax."""
    try:
        body = _cut(teacher, at)
    except Exception as error:
        raise OSError(
            f"the teacher {teacher.name} cannot be cut at {at!r}: expected a "
            "Functional or a Sequential model. Received: "
            f"{type(teacher).__name__}"
        ) from error
    copy = copy_of(body)
    outputs = copy.outputs[0]
    if len(outputs.shape) == 4:
        name = _unused(copy, "pooled")
        outputs = L.GlobalAveragePooling2D(name=name)(outputs)
    elif len(outputs.shape) > 2:
        outputs = L.Flatten(name=_unused(copy, "flat"))(outputs)
    drawn, name = keras.initializers.GlorotUniform(seed), _unused(copy, HEAD)
    head = L.Dense(classes, "softmax", kernel_initializer=drawn, name=name)
    # Not a list of one: that is another structure than a tensor.
    (inputs,) = copy.inputs
    return keras.Model(inputs, head(outputs), name="student")


def _cut(model, path):
    """A network up to a layer, which may be one of a network in it."""
    name, _, rest = path.partition("/")
    layer = model.get_layer(name)
    # Of a model its own `input` and `output` are tensors inside of it.
    if not rest:
        tensor = keras.Operation.output.fget(layer)
    else:
        tensor = _cut(layer, rest)(keras.Operation.input.fget(layer))
    return keras.Model(model.inputs, tensor, name=model.name)


def _unused(model, name):
    """A name that no layer of a network has."""
    names = {layer.name for layer in model.layers}
    while name in names:
        name = f"new_{name}"
    return name


def classifier(model, classes, seed, role):
    """Return a copy of a network that predicts probabilities of some classes.

    It has a softmax behind it if it predicts logits of so many classes, and a
    new head if it predicts anything else. `role` is its name in an error.
    """
    if model.output_shape != (None, classes):
        return with_new_head(model, features_of(model), classes, seed)
    copy = copy_of(model)
    height, width, channels = picture_shape(model, 32, role)
    # From black to white: bright noise alone saturates a sigmoid.
    noise = np.random.default_rng(0).uniform(size=(8, height, width, channels))
    noise *= np.linspace(0.0, 255.0, 8)[:, None, None, None]
    found = copy.predict_on_batch(noise.astype("float32"))
    if found.min() >= 0.0 and np.allclose(found.sum(axis=-1), 1.0, atol=1e-3):
        return copy
    if not _is_linear(copy):
        return with_new_head(model, features_of(model), classes, seed)
    (inputs,) = copy.inputs
    softmax = L.Softmax(name=_unused(copy, "probabilities"))
    return keras.Model(inputs, softmax(copy.outputs[0]), name=model.name)


def _is_linear(layer):
    """Whether what a network predicts has no activation, as logits have."""
    while isinstance(layer, keras.Model):
        ends = (x for x in reversed(layer.layers) if not isinstance(x, SHAPES))
        layer = next(ends, None)
    activation = getattr(layer, "activation", None)
    is_none = activation in (None, keras.activations.linear)
    return is_none and not isinstance(layer, ACTIVATIONS)


def known_layers(model, paths, name, features=None):
    """Return the paths of layers if a network up to `features` has them all."""
    behind = features and f"; a new head replaces those behind {features!r}"
    layers, way_out = dict(taps.walk(model)), f"{INSPECT}{behind or ''}."
    for path in paths:
        layer, _ = taps.split_call(path, layers)
        checks.known_layer(layer, layers, name, way_out)
        taps.find_layer(model, path)
    return [*paths]


def main_layers(model, most):
    """Return at most some paths of layers that end the parts of a network.

    Those are where branches meet, and poolings of all positions; in a plain
    chain of layers, all with an activation. They are evenly spaced, and the
    layer that the head reads is the last one.
    """
    last = place_of(model)
    usable = _usable(model, last)
    gates = [k for k, (_, x) in enumerate(usable) if isinstance(x, GATES)]
    # One before a gate is a part of it.
    pooled = usable[gates[-1] :] if gates else usable
    ends = {p for p, x in usable if isinstance(x, BLOCK_ENDS) or p == last}
    poolings = L.GlobalAveragePooling1D, *GLOBAL_POOLINGS
    ends |= {p for p, x in pooled if isinstance(x, poolings)}
    found = [path for path, _ in usable if path in ends]
    if len(found) < FEWEST:
        found = [p for p, x in usable if _is_active(x) or p == last]
    return thinned(found, most)


def _usable(model, last):
    """Layers that are called once and have neurons, up to the last one."""
    specs, usable, inner = taps.activation_specs(model) or {}, [], set()
    for path, layer in _innermost_first(model):
        shapes = [getattr(x, "shape", ()) for x in specs.get(path, ())]
        if len(shapes) == 1 and len(shapes[0]) > 1 and (shapes[0][-1] or 0) > 1:
            usable.append((path, layer))
            if isinstance(layer, keras.Model):
                # Its last layer returns the same.
                inner.add(f"{path}/{layer.layers[-1].name}")
        if path == last:
            break
    return [(path, layer) for path, layer in usable if path not in inner]


def _innermost_first(model):
    """Yield what `walk` does, but networks behind what is inside them."""
    around = []
    for path, layer in taps.walk(model):
        while around and not path.startswith(f"{around[-1][0]}/"):
            yield around.pop()
        around.append((path, layer))
    yield from reversed(around)


def thinned(paths: list[str], most: int) -> list[str]:
    """At most so many paths, evenly spaced, the last one among them."""
    if most >= len(paths):
        return paths
    places = np.linspace(0, len(paths) - 1, most + 1)[1:]
    return [paths[int(place)] for place in places]


def _is_active(layer):
    activation = getattr(layer, "activation", keras.activations.linear)
    own = isinstance(layer, (L.Activation, *ACTIVATIONS, keras.Model))
    return own or activation is not keras.activations.linear
