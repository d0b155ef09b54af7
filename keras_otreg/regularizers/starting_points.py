"""Regularisers that pull weights towards where they started."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.taps import LOOPS, children, walk
from keras_otreg.ot import Sinkhorn
from keras_otreg.ot.costs import squared_euclidean
from keras_otreg.ot.fixed_plan import column_costs, planner
from keras_otreg.ot.numerics import at_least_float32
from keras_otreg.saving import Configurable, decode_array, export

TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
# Layers whose own description holds that of the layers inside.
DESCRIBING = (*LOOPS, keras.layers.Bidirectional, keras.layers.StackedRNNCells)


@export
class StartingPoint(Configurable, keras.regularizers.Regularizer):
    """Pulls a weight towards its starting point (L2-SP).

    The penalty is `strength / 2 * sum((weight - start)^2)`, the convention of
    the paper, which uses a strength of 0.1.

    Args:
        start: Array of the shape of the weight.
        strength: Factor of the penalty.

    Example:
        ```python
        start = StartingPoint(pretrained_kernel, 0.1)
        layer = keras.layers.Dense(64, kernel_regularizer=start)
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018).
    """

    def __init__(self, start: Any, strength: float):
        self.start = checks.finite_array(decode_array(start), "start")
        self.strength = checks.non_negative(strength, "strength")

    def __call__(self, x):
        """The penalty of a weight."""
        if self.start.shape != tuple(x.shape):
            raise misfit(self.start.shape, x)
        start = ops.convert_to_tensor(self.start, dtype=x.dtype)
        return self.strength * half_squared_distance(start, x)


def misfit(start: Any, weight: Any, but: str = "") -> ValueError:
    """Return the error for a weight that does not fit its starting point."""
    # Keras gives the regulariser of a kernel to the two factors of LoRA too.
    return checks.invalid(
        f"a weight of the shape of its starting point, {tuple(start)}{but}",
        f"shape {tuple(weight.shape)}",
        "If its layer has LoRA, call `enable_lora` first and "
        "`add_starting_point` after it",
    )


def half_squared_distance(start: Any, x: Any) -> Any:
    """Half the sum of the squared differences of two tensors of one shape."""
    return 0.5 * ops.sum(ops.square(x - start))


@export
class Sum(Configurable, keras.regularizers.Regularizer):
    """Adds several regularisers of one weight.

    Args:
        regularizers: Keras regularisers, or their names.

    Example:
        ```python
        both = otreg.regularizers.Sum(["l2", "l1"])
        layer = keras.layers.Dense(3, kernel_regularizer=both)
        ```
    """

    def __init__(self, regularizers: Any):
        kind, expected = keras.regularizers.Regularizer, "Keras regularisers"
        self.regularizers = list(map(keras.regularizers.get, regularizers))
        for x in self.regularizers:
            checks.instance_of(x, kind, "regularizers", expected)

    def __call__(self, x):
        """The sum of the penalties of a weight."""
        return sum(regularizer(x) for regularizer in self.regularizers)


@export
class NeuronTransport(StartingPoint):
    """Pulls the neurons of a layer towards those it started from, as a set.

    A neuron is a point: a column of the kernel, or the filter of an output
    channel. The penalty is `strength / 2 * neurons * <P, C>`, where `C` holds
    the squared distances between the neurons of the start and of the kernel,
    and `P` is the optimal plan between them, held constant in the backward
    pass. It is at most that of `StartingPoint`, which pairs every neuron with
    itself, and zero for neurons in another order.

    A depthwise kernel of one filter a channel is one point. A recurrent kernel
    has a column for each gate of each unit.

    Args:
        start: Array of the shape of the weight. The axis of the neurons may
            have another length: a narrower layer can start from a wider one.
        strength: Factor of the penalty.
        epsilon: Entropic strength in units of the mean cost. Neurons of one
            number each, as those of a bias, have the exact plan.
        axis: Which axis counts neurons: the last one of most weights, the last
            but one of transposed convolutions.

    Example:
        ```python
        start = NeuronTransport(pretrained_kernel, 0.1)
        layer = keras.layers.Dense(64, kernel_regularizer=start)
        otreg.add_starting_point(model, 0.1, regularizer=NeuronTransport)
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018), for L2-SP. Singh and
        Jaggi, "Model fusion via optimal transport" (NeurIPS 2020), for
        transport between the weights of neurons.
    """

    def __init__(
        self, start: Any, strength: float, epsilon: float = 0.05, axis: int = -1
    ):
        super().__init__(start, strength)
        self.epsilon = checks.positive(epsilon, "epsilon")
        rank = max(1, self.start.ndim)
        expected = f"one of the {rank} axes of the starting point"
        number = checks.number(
            axis, "axis", expected, lambda x: x in range(-rank, rank)
        )
        self.axis = int(number - rank if number >= 0 else number)

    def __call__(self, x):
        """The penalty of a weight."""
        fixed = [list(shape) for shape in (self.start.shape, x.shape)]
        for shape in fixed:
            del shape[self.axis : self.axis + 1 or None]
        if fixed[0] != fixed[1] or self.start.ndim != len(x.shape):
            but = f", in all but axis {self.axis}, which counts neurons"
            raise misfit(self.start.shape, x, but)
        weight = at_least_float32(x)
        start = ops.convert_to_tensor(self.start, dtype=weight.dtype)
        value = neuron_transport(start, weight, self.epsilon, self.axis)
        return ops.cast(self.strength * value, x.dtype)


def neuron_transport(start: Any, x: Any, epsilon: float, axis: int) -> Any:
    """Half the number of neurons of `x` times `<P, C>` between both weights."""
    points = _neurons(start, axis), _neurons(x, axis)
    count, width = points[1].shape
    if width == 1:
        return 0.5 * count * _sorted_cost(*points)
    P, _ = planner(squared_euclidean, epsilon, Sinkhorn())(*points)
    costs = column_costs(squared_euclidean)(*points, P)
    return 0.5 * count * ops.sum(costs)


def _sorted_cost(x, y):
    """Optimal mean squared distance between points on a line, by quantiles."""
    n, m = x.shape[0], y.shape[0]
    quantiles = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    mass = np.diff(quantiles) / (n * m)
    pairs = [
        ops.take(points[:, 0], ops.take(ops.argsort(points[:, 0]), rows))
        for points, rows in ((x, quantiles[:-1] // m), (y, quantiles[:-1] // n))
    ]
    difference = pairs[0] - pairs[1]
    return ops.sum(ops.cast(mass, difference.dtype) * difference * difference)


def _neurons(weight, axis):
    """The neurons of a weight as points, of shape `(neurons, d)`."""
    if not len(weight.shape):
        return ops.reshape(weight, (1, 1))
    first = ops.moveaxis(weight, axis, 0)
    return ops.reshape(first, (first.shape[0], -1))


def add_starting_point(
    model: keras.Model,
    strength: float = 0.1,
    exclude: str | Iterable[str] | None = None,
    *,
    regularizer: Callable[[Any, float], Any] = StartingPoint,
) -> keras.Model:
    """Pull every weight of a model towards its present value (L2-SP).

    It is for models without a `TransferModel`, for which there is
    `keras_otreg.WeightPenalty`. Each start is kept in the configuration of its
    layer: a `.keras` file grows by 4/3 of the weights. Other regularisers of a
    weight are kept, a starting point that it already has is replaced. A warning
    names the weights whose layers do not save their regularisers.

    Args:
        model: A built `keras.Model`, which is changed in place, and returned.
        strength: Factor of the penalty; see `StartingPoint`.
        exclude: Path of a layer to leave alone with all that is inside, or
            several. If not given, the last layer that has weights: the head.
        regularizer: `StartingPoint`, `NeuronTransport`, or a function of the
            value of a weight and the strength that returns a regulariser.

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


def excluded_layers(model: Any, layers: dict[str, Any], exclude: Any) -> Any:
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
    """Regularise a layer's own weights; return those it cannot save."""
    weights = _own_weights(layer)
    names = [weight.name for weight in weights]
    unsaved = []
    for weight in weights:
        axis = axis_of_neurons(layer, weight)
        more = {"axis": axis} if regularizer is NeuronTransport else {}
        start = regularizer(weight.numpy(), strength, **more)
        known = weight.regularizer
        several = known.regularizers if isinstance(known, Sum) else [known]
        kept = [x for x in several if x and not isinstance(x, StartingPoint)]
        weight.regularizer = Sum([*kept, start]) if kept else start
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


def _attribute(layer, weight_name):
    """Name of the attribute that holds the regulariser of a weight."""
    names = [weight_name, weight_name.removesuffix("_kernel")]
    if weight_name == "kernel":
        names.append("depthwise")
    attributes = (f"{name}_regularizer" for name in names)
    return next((x for x in attributes if x in dir(layer)), None)
