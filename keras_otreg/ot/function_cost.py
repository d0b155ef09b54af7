"""Costs that are given as plain functions of points."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.ot.costs import Cost, scaled
from keras_otreg.ot.numerics import safe_divide


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
        if weights is None:
            weights = 1.0
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
                "Let the function take `weights`, of shape (d,), as a third "
                "argument.",
            )
        exponent = 0.5 if exponent is None else exponent
        if averages:
            # Relative weights: the function counts the coordinates itself.
            weights = safe_divide(weights, ops.mean(weights))
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


# How often four coordinates are repeated to measure a function.
COUNTS = np.array([2, 0, 1, 3])


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
