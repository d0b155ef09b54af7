"""A batch of problems, solved in pieces that fit into a cache."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg.ot.problem import TransportProblem

Solve = Callable[[TransportProblem, Any], tuple[Any, ...]]

# Bytes of the kernels of a piece: a core's own cache holds a few MiB.
PIECE = 2**20
# Each piece is a call in the graph.
MOST_PIECES = 32


def in_pieces(solve: Solve) -> Solve:
    """Return a solver that takes a large batch in chunks.

    A piece stays in the cache of the core that works on it, and ends when the
    slowest of its own problems does.

    Args:
        solve: Takes a prepared problem, and potentials of the columns of shape
            `(..., m)` with all batch axes; returns tensors with those axes.

    Returns:
        A function of the same arguments. Problems that it cannot split, or
        need not, it hands on as they are.
    """

    def solved(problem, g):
        count = _count(problem, g)
        if count < 2:
            return solve(problem, g)
        parts = [solve(*piece) for piece in _pieces(problem, g, count)]
        return keras.tree.map_structure(
            lambda *part: ops.concatenate(part, axis=0), *parts
        )

    return solved


def _count(problem, g):
    *batch, columns = g.shape
    sizes = (*batch, problem.C.shape[-2], columns)
    if not batch or None in sizes:
        return 1
    itemsize = np.dtype(keras.backend.standardize_dtype(g.dtype)).itemsize
    needed = math.ceil(itemsize * math.prod(sizes) / PIECE)
    return min(needed, batch[0], MOST_PIECES)


def _pieces(problem, g, count):
    parts = np.array_split(np.arange(g.shape[0]), count)
    starts = [int(part[0]) for part in parts[1:]]

    def split(x, own_axes):
        """The part of each piece; all of it where it has no batch axis."""
        axes = len(g.shape) - 1 + own_axes
        if x is None or len(x.shape) < axes or x.shape[0] != g.shape[0]:
            return [x] * count
        return ops.split(x, starts, axis=0)

    rho = zip(*(split(side, 0) for side in problem.rho), strict=True)
    axes = zip(problem[:4], (2, 1, 1, 0), strict=True)
    fields = zip(*(split(*field) for field in axes), rho, strict=True)
    pieces = [TransportProblem(*of_piece) for of_piece in fields]
    return zip(pieces, split(g, 1), strict=True)
