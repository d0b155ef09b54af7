"""Chunking of a batch of problems, so that each chunk fits into a cache."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_otreg.ot.problem import TransportProblem

Solve = Callable[[TransportProblem, Any], tuple[Any, ...]]

# Bytes of the kernels of a chunk: a core's own cache holds a few MiB.
CHUNK_BYTES = 2**20
# Each chunk is a call in the graph.
MAX_CHUNKS = 32


def chunked(solve: Solve) -> Solve:
    """Return a solver that takes a large batch in chunks, each as one call."""

    def solved(problem, g):
        count = _num_chunks(problem, g)
        if count < 2:
            return solve(problem, g)
        parts = [solve(*chunk) for chunk in _chunks(problem, g, count)]
        return keras.tree.map_structure(
            lambda *part: ops.concatenate(part, axis=0), *parts
        )

    return solved


def _num_chunks(problem, g):
    *batch, columns = g.shape
    sizes = (*batch, problem.C.shape[-2], columns)
    if not batch or None in sizes:
        return 1
    itemsize = np.dtype(keras.backend.standardize_dtype(g.dtype)).itemsize
    needed = math.ceil(itemsize * math.prod(sizes) / CHUNK_BYTES)
    return min(needed, batch[0], MAX_CHUNKS)


def _chunks(problem, g, count):
    parts = np.array_split(np.arange(g.shape[0]), count)
    starts = [int(part[0]) for part in parts[1:]]

    def split(x, own_axes):
        """Split a field; every chunk gets all of it if it has no batch axis."""
        axes = len(g.shape) - 1 + own_axes
        if x is None or len(x.shape) < axes or x.shape[0] != g.shape[0]:
            return [x] * count
        return ops.split(x, starts, axis=0)

    rho = zip(*(split(side, 0) for side in problem.rho), strict=True)
    axes = zip(problem[:4], (2, 1, 1, 0), strict=True)
    fields = zip(*(split(*field) for field in axes), rho, strict=True)
    problems = [TransportProblem(*chunk) for chunk in fields]
    return zip(problems, split(g, 1), strict=True)
