"""How much room a file of weights takes."""

import math
from collections.abc import Iterable
from typing import Any

# What HDF5 needs beside each array, in bytes: names, groups and gaps.
BESIDE = 16384


def room_for(owners: Iterable[Any]) -> int:
    """Bytes that weights take in a file of HDF5, at most.

    Args:
        owners: Models and optimizers, which have `variables`.
    """
    sizes = [
        math.prod(variable.shape) * (8 if "64" in variable.dtype else 4)
        for owner in owners
        for variable in owner.variables
    ]
    return sum(sizes) + BESIDE * (len(sizes) + 1)
