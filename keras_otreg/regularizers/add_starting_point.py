"""L2-SP on a whole model, in one call."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_otreg import checks
from keras_otreg.features.walk import LOOPS, children, walk
from keras_otreg.regularizers.neuron_transport import NeuronTransport
from keras_otreg.regularizers.starting_point import StartingPoint, Sum

# Layers whose own description holds that of the layers inside.
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
DESCRIBING = (*LOOPS, keras.layers.Bidirectional, keras.layers.StackedRNNCells)


def add_starting_point(
    model: keras.Model,
    strength: float = 0.1,
    exclude: str | Iterable[str] | None = None,
    *,
    regularizer: Callable[[Any, float], Any] = StartingPoint,
) -> keras.Model:
    """Pulls every weight of a model towards its present value (L2-SP).

    It is for models without a `TransferModel` around them, in which
    `keras_otreg.WeightPenalty` reads the starts from the teacher. Here each
    start is kept in the configuration of its layer, as text: a `.keras` file
    grows by 4/3 of the weights.

    Other regularisers of a weight are kept, a starting point that it already
    has is replaced. That of a frozen weight acts when it is unfrozen. A warning
    names the weights whose layers do not save their regularisers.

    Args:
        model: A built `keras.Model`, which is changed in place.
        strength: Factor of the penalty; see `StartingPoint`.
        exclude: Path of a layer to leave alone with all that is inside, or
            several. If not given, the last layer that has weights: the head.
        regularizer: `StartingPoint` for L2-SP, `NeuronTransport` for its form
            without an order of neurons, or a function of the value of a weight
            and the strength that returns a regulariser.

    Returns:
        The model.

    Raises:
        ValueError: If the model is not built, or a path is unknown.

    Example:
        ```python
        otreg.add_starting_point(model, 0.1, exclude=["head"])
        model.compile("adam", "sparse_categorical_crossentropy")
        ```
    """
    checks.built_model(model, "model")
    strength = checks.non_negative(strength, "strength")
    layers = dict(walk(model, into_loops=True))
    excluded = excluded_layers(model, layers, exclude)
    unsaved = []
    for path, layer in layers.items():
        if id(layer) in excluded:
            continue
        lost = _pull(layer, regularizer, strength)
        around = [x for k, x in layers.items() if path.startswith(f"{k}/")]
        if not all(map(_describes_its_layers, [model, *around])):
            lost = [weight.name for weight in _own_weights(layer)]
        unsaved += [f"{path}/{name}" for name in lost]
    if unsaved:
        warnings.warn(
            f"Model '{model.name}' will not save the starting points of the "
            f"weights {unsaved}: their layers do not describe them when they "
            "are saved. They act now; after loading the model, call "
            "`add_starting_point` again or name the layers in `exclude`.",
            stacklevel=2,
        )
    return model


def excluded_layers(
    model: keras.Model, layers: dict[str, Any], exclude: Any
) -> set[int]:
    """The `id`s of the layers to leave alone, as of `add_starting_point`."""
    if exclude is None:
        own = [path for path in _of_models(model) if layers[path].weights]
        exclude = own[-1:]
    names = [exclude] if isinstance(exclude, str) else list(exclude)
    for name in names:
        checks.known_layer(name, layers, model.name)
    return {
        id(layer)
        for path, layer in layers.items()
        if any(f"{path}/".startswith(f"{name}/") for name in names)
    }


def _of_models(model, prefix=""):
    """Paths of the layers of a model and of the models nested in it."""
    for layer in children(model):
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras.Model):
            yield from _of_models(layer, f"{path}/")
        else:
            yield path


def _describes_its_layers(outer):
    if isinstance(outer, DESCRIBING):
        return True
    try:
        return "layers" in outer.get_config()
    except NotImplementedError:
        return False


def _pull(layer, regularizer, strength):
    """Regularises a layer's own weights; returns those it cannot save."""
    weights = _own_weights(layer)
    names = [weight.name for weight in weights]
    unsaved = []
    for weight in weights:
        axis = axis_of_neurons(layer, weight)
        more = {"axis": axis} if regularizer is NeuronTransport else {}
        start = regularizer(weight.numpy(), strength, **more)
        weight.regularizer = _beside(weight.regularizer, start)
        attribute = _attribute(layer, weight.name)
        # Several weights of one name sit in layers that are hidden inside.
        if attribute is None or names.count(weight.name) > 1:
            unsaved.append(weight.name)
        else:
            setattr(layer, attribute, weight.regularizer)
    return unsaved


def axis_of_neurons(layer: keras.Layer, weight: Any) -> int:
    """Which axis of a weight counts neurons."""
    is_transposed = isinstance(layer, TRANSPOSED) and weight.name == "kernel"
    return -2 if is_transposed else -1


def _own_weights(layer):
    """The weights of a layer that can be trained, frozen now or not."""
    inner = children(layer)
    thawed = not layer.trainable and not inner
    if thawed:
        layer.trainable = True
    weights = list(layer.trainable_variables)
    if thawed:
        layer.trainable = False
    theirs = {id(weight) for child in inner for weight in child.variables}
    return [weight for weight in weights if id(weight) not in theirs]


def _beside(present: Any, start: Any) -> Any:
    """A starting point beside the regularisers of a weight at present."""
    several = present.regularizers if isinstance(present, Sum) else [present]
    kept = [x for x in several if x and not isinstance(x, StartingPoint)]
    return Sum([*kept, start]) if kept else start


def _attribute(layer, weight_name):
    """Name of the attribute that holds the regulariser of a weight."""
    names = [weight_name, weight_name.removesuffix("_kernel")]
    if weight_name == "kernel":
        names.append("depthwise")
    attributes = (f"{name}_regularizer" for name in names)
    return next((x for x in attributes if x in dir(layer)), None)
