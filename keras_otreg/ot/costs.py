"""Ground costs between every pair of points of two sets."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.ot import numerics as num
from keras_otreg.saving import Configurable, export

# Variances of the kernels, relative to a typical squared distance.
BANK = (0.25, 0.5, 1.0, 2.0, 4.0)
# How often four coordinates are repeated to measure a function.
COUNTS = np.array([2, 0, 1, 3])


class Cost(Configurable):
    """Base class of costs that are made from sums over coordinates.

    Coordinates may be samples: a cost therefore says how it adds up over them
    (`sums`, `from_sums`) and how often each of them counts (`exponent`), so
    that weights, any batch size and replicas are right. Arguments of the
    constructor are saved if they are kept in attributes of their names.

    Attributes:
        exponent: A coordinate counts `w` times if both points are scaled by
            `w**exponent` there: `1 / p` where a cost depends on sums of
            `|x - y|**p`, and 1/2 where it depends on inner products.
        adds_up: Whether `sums` of parts of the coordinates may be added.
        jit_compile: Whether XLA may compile the cost.

    Call arguments:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        weights: How often each coordinate counts, of shape `(d,)` or `()`;
            once if not given.
        total: Function that completes sums over coordinates, where other
            replicas hold more of them.

    Example:
        ```python
        @keras.saving.register_keras_serializable(package="my_package")
        class Cubes(Cost):
            exponent = 1.0 / 3.0

            def sums(self, x, y):
                x, y = ops.expand_dims(x, -2), ops.expand_dims(y, -3)
                return ops.sum(ops.abs(x - y) ** 3, axis=-1)

        C = Cubes()(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """

    exponent: float = 0.5
    adds_up: ClassVar[bool] = True
    jit_compile: ClassVar[bool] = True

    def __call__(self, x: Any, y: Any, weights: Any = None, *, total=None):
        """Return costs of shape `(..., n, m)`, in float32 or better."""
        if weights is not None:
            x, y = self.weighted(x, y, weights)
        sums = self.sums(num.at_least_float32(x), num.at_least_float32(y))
        return self.from_sums(sums if total is None else total(sums))

    def sums(self, x: Any, y: Any) -> Any:
        """Return a tensor, or a list of them, that adds up over coordinates."""
        raise NotImplementedError

    def from_sums(self, sums: Any) -> Any:
        """Return costs of shape `(..., n, m)` from complete `sums`."""
        return sums

    def weighted(self, x: Any, y: Any, weights: Any) -> tuple[Any, ...]:
        """Return arguments of a call in which coordinates count `weights`."""
        exponent = self.exponent
        return scaled(x, weights, exponent), scaled(y, weights, exponent)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self))))


@export
class SquaredEuclidean(Cost):
    """Squared distance between every pair of points: `|x[i] - y[j]|^2`.

    Costs are never negative. The gradient at coincident points is zero.
    """

    def sums(self, x, y):
        """Return squared distances, up to rounding."""
        # Distances do not depend on the origin, rounding does: it is relative
        # to the norms, which are smallest about the middle of the two clouds.
        middle = 0.5 * sum(ops.mean(z, axis=-2, keepdims=True) for z in (x, y))
        x, y = (z - ops.stop_gradient(middle) for z in (x, y))
        # Norms and inner products in one matrix product: both halves of the
        # gradient then come from one evaluation of the slope in the costs. A
        # compiler may round, and mask at zero, two evaluations differently.
        norms_x = ops.sum(x * x, axis=-1, keepdims=True)
        norms_y = ops.sum(y * y, axis=-1, keepdims=True)
        rows = [-2.0 * x, norms_x, ops.ones_like(norms_x)]
        columns = [y, ops.ones_like(norms_y), norms_y]
        x, y = (ops.concatenate(parts, axis=-1) for parts in (rows, columns))
        return num.matmul(x, ops.swapaxes(y, -1, -2))

    def from_sums(self, sums):
        """Return squared distances, clipped at zero."""
        return num.maximum(sums, 0.0)


@export
class Euclidean(SquaredEuclidean):
    """Distance between every pair of points: `|x[i] - y[j]|`.

    The gradient at coincident points is zero.
    """

    def from_sums(self, sums):
        """Return distances."""
        return num.safe_sqrt(sums)


@export
class Cosine(Cost):
    """One minus the cosine of the angle between every pair of points.

    Costs are in [0, 2]. A point at the origin has cost 1 to every other, and
    no gradient.
    """

    def sums(self, x, y):
        """Return inner products between the two sets, and of each point."""
        between = num.matmul(x, ops.swapaxes(y, -1, -2))
        return [between, ops.sum(x * x, axis=-1), ops.sum(y * y, axis=-1)]

    def from_sums(self, sums):
        """Return one minus cosines."""
        return num.clipped(1.0 - _cosines(*sums), 0.0, 2.0)


@export
class SquaredCosine(Cosine):
    """One minus the squared cosine between every pair of points.

    Costs are in [0, 1]. Neither the length of a point nor its sign matters. A
    point at the origin has cost 1 to every other, and no gradient.
    """

    def from_sums(self, sums):
        """Return one minus squared cosines."""
        return num.clipped(1.0 - ops.square(_cosines(*sums)), 0.0, 1.0)


@export
class CityBlock(Cost):
    """Sum of absolute differences between every pair of points.

    It needs memory for `n * m * d` numbers; the other costs need `n * m`.
    """

    exponent = 1.0

    def sums(self, x, y):
        """Return sums of absolute differences."""
        differences = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
        # The gradient of JAX's own absolute value is one at zero.
        signs = ops.stop_gradient(ops.sign(differences))
        return ops.sum(signs * differences, axis=-1)


squared_euclidean, euclidean = SquaredEuclidean(), Euclidean()
cosine, squared_cosine, cityblock = Cosine(), SquaredCosine(), CityBlock()

COSTS = {
    "squared_euclidean": squared_euclidean,
    "euclidean": euclidean,
    "cosine": cosine,
    "squared_cosine": squared_cosine,
    "cityblock": cityblock,
}


def get(identifier: Any) -> Callable[..., Any]:
    """Return a cost.

    Args:
        identifier: A name in `COSTS`; a `Cost`; a function of points
            `(..., n, d)` and `(..., m, d)` that returns costs `(..., n, m)`,
            and may take `weights` as a third argument, see `Cost`; the
            registered name of one (`"package>function"`); or what `name_of`
            returned.

    Returns:
        The cost or the function.
    """
    if isinstance(identifier, dict) and "class_name" in identifier:
        return get(keras.saving.deserialize_keras_object(identifier))
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    if isinstance(identifier, str):
        registered = keras.saving.get_registered_object(identifier)
        if callable(registered) and not isinstance(registered, type):
            return registered
        identifier = identifier.removeprefix("keras_otreg>")
    return COSTS[checks.one_of(identifier, COSTS, "cost")]


def name_of(cost: Callable[..., Any]) -> str | dict[str, Any]:
    """Return what is saved of a cost: a name, or the config of a `Cost`."""
    for name, known in COSTS.items():
        if cost == known:
            return name
    is_function = isinstance(cost, types.FunctionType)
    if is_function or isinstance(cost, Cost):
        registered = cost if is_function else type(cost)
        name = keras.saving.get_registered_name(registered)
        if keras.saving.get_registered_object(name) is registered:
            serialize = keras.saving.serialize_keras_object
            return name if is_function else serialize(cost)
    raise ValueError(
        "A cost function can be saved only under a registered name. "
        "Decorate it with `@keras.saving.register_keras_serializable"
        f"(package='my_package')`. Received: {cost!r}"
    )


def gaussian_bank(squared: Any, scale: Any) -> Any:
    """Mean of the kernels `exp(-d^2 / (2 s^2))` of the bank, in [0, 1].

    `scale` is a typical squared distance; at zero all points count as one.
    """
    halved = num.safe_divide(-0.5 * squared, num.column(num.column(scale)))
    return sum(ops.exp(halved / width) for width in BANK) / len(BANK)


def scaled(points: Any, weights: Any, exponent: float) -> Any:
    """Scale coordinates by `weights**exponent`; a weight of 0 gives 0."""
    points = num.at_least_float32(points)
    weights = ops.cast(weights, points.dtype)
    counts = weights > 0.0
    # Zero has no finite slope under a root, and its power 0 is one.
    factors = ops.power(ops.where(counts, weights, 1.0), exponent)
    return points * ops.where(counts, factors, 0.0)


def _cosines(products, squared_x, squared_y):
    rows, columns = num.safe_sqrt(squared_x), num.safe_sqrt(squared_y)
    relative = num.safe_divide(products, num.column(rows))
    return num.safe_divide(relative, num.row(columns))


@functools.lru_cache(maxsize=64)
def as_cost(cost: Callable[..., Any]) -> Cost:
    """Return what `costs.get` returned as a `Cost`."""
    return cost if isinstance(cost, Cost) else FunctionCost(cost)


class FunctionCost(Cost):
    """A function of points `(..., n, d)` and `(..., m, d)` as a cost.

    If it takes no `weights`, the scaling that stands for them is measured once.
    """

    adds_up = False
    jit_compile = False

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __call__(self, x, y, weights=None, *, total=None):
        """Return costs of shape `(..., n, m)`."""
        if weights is not None or self._takes_weights:
            return self.function(*self.weighted(x, y, weights))
        return self.function(x, y)

    def weighted(self, x, y, weights):
        """Return arguments of the function, with or without weights."""
        weights = 1.0 if weights is None else weights
        weights = ops.convert_to_tensor(weights, dtype=x.dtype)
        if self._takes_weights:
            return x, y, ops.broadcast_to(weights, ops.shape(x)[-1:])
        exponent, averages = self._scaling
        if len(weights.shape) and exponent is None:
            raise checks.invalid(
                "a cost whose coordinates can be weighted, because a "
                "`sample_weight` is given",
                f"cost={getattr(self.function, '__name__', self.function)}, "
                "for which no scaling of a coordinate counts it several times",
                "Let the function take `weights`, of shape (d,).",
            )
        exponent = 0.5 if exponent is None else exponent
        if averages:
            # Relative weights: the function counts the coordinates itself.
            weights = num.safe_divide(weights, ops.mean(weights))
        return tuple(scaled(points, weights, exponent) for points in (x, y))

    @functools.cached_property
    def _takes_weights(self):
        try:
            return "weights" in inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            # Not everything that is callable has a signature.
            return False

    @functools.cached_property
    def _scaling(self):
        with engine.outside_of_graphs():
            return measured_scaling(self.function)

    # What is measured is kept in attributes.
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def measured_scaling(function: Callable[..., Any]) -> tuple[float | None, bool]:
    """Find the exponent, if any, of a scaling that stands for repeating.

    Also return whether repeating all coordinates changes nothing.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 4)).astype("float32") for n in (3, 2))

    def value(factors=1.0, repeats=1):
        points = (np.repeat(z * factors, repeats, axis=1) for z in (x, y))
        C = function(*(ops.convert_to_tensor(z, "float32") for z in points))
        return np.asarray(ops.convert_to_numpy(C), "float64")

    try:
        once, twice, repeated = value(), value(repeats=2), value(repeats=COUNTS)
        averages = _close(once, twice)
        for exponent in _candidates(once, twice, value(2.0)):
            factors = np.where(COUNTS > 0, COUNTS**exponent, 0.0)
            if _close(value(factors), repeated):
                return exponent, False
            if _close(value(factors / np.mean(COUNTS) ** exponent), repeated):
                return exponent, True
    except Exception:
        # It may need a certain number of coordinates: its users will see.
        return None, False
    return None, averages


def _candidates(once, twice, doubled):
    """Exponents of the usual costs, and one from how the values grow."""
    sizes = [np.abs(C).mean() for C in (once, twice, doubled)]
    with np.errstate(all="ignore"):
        repeating, degree = np.log2(np.divide(sizes[1:], sizes[0]))
        found = [repeating / degree, 1.0 / degree]
    found = [x for x in found if np.isfinite(x) and 0.0 <= x <= 4.0]
    return [0.5, 1.0, 0.0, 1.0 / 3.0, 0.25, *map(float, found)]


def _close(C, expected):
    size = np.abs(expected).max()
    is_known = np.isfinite(size) and C.shape == expected.shape
    return is_known and np.allclose(C, expected, rtol=1e-3, atol=1e-4 * size)
