"""Checks of transport problems, as far as they can be had from a tensor."""

import numbers
from typing import Any

import numpy as np

from keras_otreg.checks.values import number, positive


def weights_of_costs(C: Any, a: Any, b: Any) -> None:
    """Raises unless the shapes of costs and of their weights fit."""
    sizes = [tuple(x.shape)[-k:] for x, k in ((C, 2), (a, 1), (b, 1))]
    rows, columns = sizes[0] if len(sizes[0]) == 2 else (-1, -1)
    for size, expected in zip(sizes[1:], (rows, columns), strict=True):
        if size and None in (size[0], expected) or size == (expected,):
            continue
        raise ValueError(
            "Expected costs C of shape (..., n, m), weights a of shape "
            "(..., n) and b of shape (..., m). Received: "
            + ", ".join(
                f"{name} of shape {tuple(x.shape)}"
                for name, x in (("C", C), ("a", a), ("b", b))
            )
        )


def strength(epsilon: Any) -> None:
    """Raises if it is known of an entropic strength that it is not one."""
    if isinstance(epsilon, numbers.Real):
        positive(epsilon, "epsilon")
    elif isinstance(epsilon, np.ndarray):
        for value in epsilon.ravel():
            positive(value, "epsilon")


def prices(rho: Any) -> tuple[Any, Any]:
    """Returns the prices of both marginals; `None` for one that is exact."""
    pair = rho if isinstance(rho, (tuple, list)) else (rho, rho)
    if len(pair) != 2:
        raise ValueError(
            "Invalid value for argument `rho`. Expected None, a price, or a "
            f"pair of them, (rows, columns). Received: rho={rho!r}"
        )
    return _price(pair[0]), _price(pair[1])


def potentials(init: Any) -> tuple[Any, Any]:
    """Returns the potentials to start from."""
    if isinstance(init, (tuple, list)) and len(init) >= 2:
        return init[0], init[1]
    raise ValueError(
        "Invalid value for argument `init`. Expected a TransportSolution, or "
        f"a pair of potentials (f, g). Received: init={init!r}"
    )


def _price(value):
    if not isinstance(value, numbers.Real):
        return value
    number(
        value,
        "rho",
        expected="None, or a number above 0",
        valid=lambda x: x > 0,
    )
    # What costs without end is not done.
    return None if value == float("inf") else value


def weighable(cost: Any, exponent: float | None) -> None:
    """Raises if no scaling of a coordinate counts it several times."""
    if exponent is None:
        raise ValueError(
            "Expected a cost whose coordinates can be weighted, because a "
            "`sample_weight` is given. Received: "
            f"cost={getattr(cost, '__name__', cost)}, for which no scaling of "
            "a coordinate counts it several times. Let the function take "
            "`weights`, of shape (d,), as a third argument."
        )
