"""Ground costs between every pair of points of two sets."""

import types
from collections.abc import Callable
from typing import Any

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
from keras_otreg.saving import export


def _alone(sums):
    return sums


@export
def squared_euclidean(x: Any, y: Any, total: Any = _alone) -> Any:
    """Squared distance between every pair of points: `|x[i] - y[j]|^2`.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        total: What completes sums over the `d` coordinates, where others hold
            more of them.

    Returns:
        Costs of shape `(..., n, m)`, never negative, in float32 or better.

    Example:
        ```python
        C = squared_euclidean(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """
    x, y = at_least_float32(x), at_least_float32(y)
    # Distances do not depend on the origin, rounding does: it is relative to
    # the norms, which are smallest about the middle of the two clouds.
    middle = ops.stop_gradient(
        0.5
        * (
            ops.mean(x, axis=-2, keepdims=True)
            + ops.mean(y, axis=-2, keepdims=True)
        )
    )
    x, y = x - middle, y - middle
    # Norms and inner products in one matrix product: the two halves of the
    # gradient then come from one evaluation of the slope in the costs. A
    # compiler may round two evaluations, and mask them at zero, differently.
    norms_x = ops.sum(x * x, axis=-1, keepdims=True)
    norms_y = ops.sum(y * y, axis=-1, keepdims=True)
    x = ops.concatenate([-2.0 * x, norms_x, ops.ones_like(norms_x)], axis=-1)
    y = ops.concatenate([y, ops.ones_like(norms_y), norms_y], axis=-1)
    return maximum(total(matmul(x, ops.swapaxes(y, -1, -2))), 0.0)


@export
def euclidean(x: Any, y: Any, total: Any = _alone) -> Any:
    """Distance between every pair of points: `|x[i] - y[j]|`.

    The gradient at coincident points is zero.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        total: What completes sums over the `d` coordinates, where others hold
            more of them.

    Returns:
        Costs of shape `(..., n, m)`.

    Example:
        ```python
        C = euclidean(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """
    return safe_sqrt(squared_euclidean(x, y, total))


@export
def cosine(x: Any, y: Any, total: Any = _alone) -> Any:
    """One minus the cosine of the angle between every pair of points.

    A point at the origin has cost 1 to every other, and no gradient.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        total: What completes sums over the `d` coordinates, where others hold
            more of them.

    Returns:
        Costs of shape `(..., n, m)`, in [0, 2].

    Example:
        ```python
        C = cosine(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """
    cosines = _cosines(*_inner_products(x, y, total))
    return clipped(1.0 - cosines, 0.0, 2.0)


@export
def squared_cosine(x: Any, y: Any, total: Any = _alone) -> Any:
    """One minus the squared cosine between every pair of points.

    Neither the length of a point nor its sign matters. A point at the origin
    has cost 1 to every other, and no gradient.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        total: What completes sums over the `d` coordinates, where others hold
            more of them.

    Returns:
        Costs of shape `(..., n, m)`, in [0, 1].

    Example:
        ```python
        C = squared_cosine(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """
    return squared_sines(*_inner_products(x, y, total))


@export
def cityblock(x: Any, y: Any, total: Any = _alone) -> Any:
    """Sum of absolute differences between every pair of points.

    It needs memory for `n * m * d` numbers; the other costs need `n * m`.

    Args:
        x: Points of shape `(..., n, d)`.
        y: Points of shape `(..., m, d)`.
        total: What completes sums over the `d` coordinates, where others hold
            more of them.

    Returns:
        Costs of shape `(..., n, m)`.

    Example:
        ```python
        C = cityblock(ops.ones((4, 9)), ops.zeros((5, 9)))  # (4, 5)
        ```
    """
    x, y = at_least_float32(x), at_least_float32(y)
    differences = ops.expand_dims(x, -2) - ops.expand_dims(y, -3)
    # The gradient of JAX's own absolute value is one at zero.
    signs = ops.stop_gradient(ops.sign(differences))
    return total(ops.sum(signs * differences, axis=-1))


COSTS = {
    cost.__name__: cost
    for cost in (
        squared_euclidean,
        euclidean,
        cosine,
        squared_cosine,
        cityblock,
    )
}


def get(identifier: Any) -> Callable[[Any, Any], Any]:
    """Returns a cost function.

    Args:
        identifier: A name in `COSTS`, a function of points `(..., n, d)` and
            `(..., m, d)` that returns costs `(..., n, m)`, or the registered
            name of one (`"package>function"`).

    Returns:
        The function.
    """
    if callable(identifier):
        return identifier
    registered = keras.saving.get_registered_object(str(identifier))
    if registered is not None:
        return registered
    return COSTS[checks.one_of(identifier, COSTS, "cost")]


def name_of(cost: Callable[[Any, Any], Any]) -> str:
    """Returns the identifier by which `get` finds a cost function."""
    if cost in COSTS.values():
        return cost.__name__
    if isinstance(cost, types.FunctionType):
        name = keras.saving.get_registered_name(cost)
        if keras.saving.get_registered_object(name) is cost:
            return name
    raise ValueError(
        "A cost function can be saved only under a registered name. "
        "Decorate it with `@keras.saving.register_keras_serializable"
        f"(package='my_package')`. Received: {cost!r}"
    )


def weight_power(cost: Callable[[Any, Any], Any]) -> float:
    """How a coordinate is scaled so that it counts `w` times: by `w^power`."""
    return 1.0 if cost is cityblock else 0.5


def adds_up(cost: Callable[[Any, Any], Any]) -> bool:
    """Whether a cost can be told sums over coordinates that are elsewhere."""
    return cost in COSTS.values()


def squared_sines(products: Any, squared_x: Any, squared_y: Any) -> Any:
    """`squared_cosine`, of points whose inner products are known.

    Args:
        products: Between the two sets, of shape `(..., n, m)`.
        squared_x: Of each point of the first with itself, `(..., n)`.
        squared_y: Of each point of the second with itself, `(..., m)`.

    Returns:
        Costs of shape `(..., n, m)`, in [0, 1].
    """
    cosines = _cosines(products, squared_x, squared_y)
    return clipped(1.0 - ops.square(cosines), 0.0, 1.0)


def _inner_products(x, y, total):
    x, y = at_least_float32(x), at_least_float32(y)
    return total(
        [
            matmul(x, ops.swapaxes(y, -1, -2)),
            ops.sum(x * x, axis=-1),
            ops.sum(y * y, axis=-1),
        ]
    )


def _cosines(products, squared_x, squared_y):
    rows, columns = safe_sqrt(squared_x), safe_sqrt(squared_y)
    return safe_divide(safe_divide(products, column(rows)), row(columns))
