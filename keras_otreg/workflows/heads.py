"""Heads of networks, and new ones for other classes."""

import keras
import numpy as np
from keras import layers as L

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


def features_of(model: keras.Model) -> str:
    """The layer whose output goes into a new head by default.

    It is `avg_pool` where that is the last pooling, else what the last layer
    of neurons reads, which may be a convolution of one pixel, also before a
    pooling, or, in a network without a head, the last layer. It is never
    behind a softmax: where the last layer is a network that ends with one, it
    is a path into that network.
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
    if isinstance(layer, L.Dense):
        return True
    is_pixel = getattr(layer, "kernel_size", None) == (1, 1)
    if isinstance(layer, L.Conv2D) and is_pixel:
        return getattr(model, "output_shape", ())[1:] == (layer.filters,)
    return False


def place_of(model: keras.Model) -> str:
    """The layer of neurons that the head reads, for a penalty.

    In training a dropout between them shows the head only some.
    """
    *inner, name = features_of(model).split("/")
    for one in inner:
        model = model.get_layer(one)
    names = [layer.name for layer in model.layers]
    place = names.index(name)
    while isinstance(model.layers[place], L.Dropout) and place > 0:
        place -= 1
    return "/".join([*inner, names[place]])


def with_new_head(
    teacher: keras.Model, at: str, classes: int, seed: int
) -> keras.Model:
    """Return a copy of a network up to the layer `at`, with a new softmax head.

    `at` may be a layer of a network in it, as `features_of` tells. Of maps,
    the head sees the means. The seed is that of its initial weights.

    Raises:
        OSError: If the teacher cannot be cut there.
    """
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
    head = L.Dense(
        classes,
        "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name=_unused(copy, HEAD),
    )
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


def classifier(
    model: keras.Model, classes: int, seed: int, role: str
) -> keras.Model:
    """Return a copy of a network that predicts probabilities of some classes.

    It is the same network if it predicts so many classes, with a softmax
    behind it if it predicts logits; else, as of a sigmoid, the network under
    a new head. `role` is the network's name in an error.
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
