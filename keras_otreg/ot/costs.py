"""Ground costs between every pair of points of two sets."""

import types
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.ot.numerics import (
    at_least_float32,
    clipped,
    column,
    matmul,
    maximum,
    row,
    safe_divide,
    safe_sqrt,
)
from keras_otreg.saving import Configurable, export

# Variances of the kernels, relative to a typical squared distance.
BANK = (0.25, 0.5, 1.0, 2.0, 4.0)


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
        class PowerCost(Cost):
            def __init__(self, p=3.0):
                self.p = p
                self.exponent = 1.0 / p

            def sums(self, x, y):
                x, y = ops.expand_dims(x, -2), ops.expand_dims(y, -3)
                return ops.sum(ops.abs(x - y) ** self.p, axis=-1)

        loss = otreg.losses.RepresentationTransport(cost=PowerCost(4.0))
        ```
    """

    exponent: float = 0.5
    adds_up: ClassVar[bool] = True
    jit_compile: ClassVar[bool] = True

    def __call__(
        self, x: Any, y: Any, weights: Any = None, *, total: Any = None
    ) -> Any:
        """Return costs of shape `(..., n, m)`, in float32 or better."""
        if weights is not None:
            x, y = self.weighted(x, y, weights)
        sums = self.sums(at_least_float32(x), at_least_float32(y))
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

    Example:
        ```python
        C = squared_euclidean(ops.ones((4, 9)), ops.zeros((5, 9)))
        ```
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
        return matmul(x, ops.swapaxes(y, -1, -2))

    def from_sums(self, sums):
        """Return squared distances, clipped at zero."""
        return maximum(sums, 0.0)


@export
class Euclidean(SquaredEuclidean):
    """Distance between every pair of points: `|x[i] - y[j]|`.

    The gradient at coincident points is zero.

    Example:
        ```python
        C = euclidean(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """

    def from_sums(self, sums):
        """Return distances."""
        return safe_sqrt(sums)


@export
class Cosine(Cost):
    """One minus the cosine of the angle between every pair of points.

    Costs are in [0, 2]. A point at the origin has cost 1 to every other, and
    no gradient.

    Example:
        ```python
        C = cosine(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """

    def sums(self, x, y):
        """Return inner products between the two sets, and of each point."""
        between = matmul(x, ops.swapaxes(y, -1, -2))
        return [between, ops.sum(x * x, axis=-1), ops.sum(y * y, axis=-1)]

    def from_sums(self, sums):
        """Return one minus cosines."""
        return clipped(1.0 - _cosines(*sums), 0.0, 2.0)


@export
class SquaredCosine(Cosine):
    """One minus the squared cosine between every pair of points.

    Costs are in [0, 1]. Neither the length of a point nor its sign matters. A
    point at the origin has cost 1 to every other, and no gradient.

    Example:
        ```python
        C = squared_cosine(ops.ones((4, 9)), ops.zeros((5, 9)))
        ```
    """

    def from_sums(self, sums):
        """Return one minus squared cosines."""
        return clipped(1.0 - ops.square(_cosines(*sums)), 0.0, 1.0)


@export
class CityBlock(Cost):
    """Sum of absolute differences between every pair of points.

    It needs memory for `n * m * d` numbers; the other costs need `n * m`.

    Example:
        ```python
        C = cityblock(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """

    exponent = 1.0

    def sums(self, x, y):
        """Return sums of absolute differences."""
        differences = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
        # The gradient of JAX's own absolute value is one at zero.
        signs = ops.stop_gradient(ops.sign(differences))
        return ops.sum(signs * differences, axis=-1)


squared_euclidean = SquaredEuclidean()
euclidean = Euclidean()
cosine = Cosine()
squared_cosine = SquaredCosine()
cityblock = CityBlock()

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
    halved = safe_divide(-0.5 * squared, column(column(scale)))
    return sum(ops.exp(halved / width) for width in BANK) / len(BANK)


def scaled(points: Any, weights: Any, exponent: float) -> Any:
    """Scale coordinates by `weights**exponent`; a weight of 0 gives 0."""
    points = at_least_float32(points)
    weights = ops.cast(weights, points.dtype)
    counts = weights > 0.0
    # Zero has no finite slope under a root, and its power 0 is one.
    factors = ops.power(ops.where(counts, weights, 1.0), exponent)
    return points * ops.where(counts, factors, 0.0)


def _cosines(products, squared_x, squared_y):
    rows, columns = safe_sqrt(squared_x), safe_sqrt(squared_y)
    return safe_divide(safe_divide(products, column(rows)), row(columns))
