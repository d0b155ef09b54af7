"""Repeated products of one matrix, or a batch of them, with vectors."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_otreg.ot.numerics import column, row


class Products:
    """Weighted sums over the rows or the columns of a matrix.

    A batch is kept in two halves. Compilers for CPUs run a batch of products
    on one core, but two of them side by side.

    Args:
        matrix: Shape `(..., n, m)`.
    """

    def __init__(self, matrix: Any):
        has_batch = len(matrix.shape) > 2
        self.halves = _halves(matrix) if has_batch else [matrix]

    def over_columns(self, weights: Any) -> Any:
        """Turns weights `(..., m)` into sums `(..., n)`."""
        return self._each(lambda K, x: ops.matmul(K, column(x)), weights)[
            ..., 0
        ]

    def over_rows(self, weights: Any) -> Any:
        """Turns weights `(..., n)` into sums `(..., m)`."""
        return self._each(lambda K, x: ops.matmul(row(x), K), weights)[
            ..., 0, :
        ]

    def _each(self, multiply: Callable[[Any, Any], Any], weights: Any) -> Any:
        if len(self.halves) == 1:
            return multiply(self.halves[0], weights)
        pairs = zip(self.halves, _halves(weights), strict=True)
        return ops.concatenate([multiply(*pair) for pair in pairs], axis=0)


def _halves(batch):
    size = batch.shape[0] or 0
    return ops.split(batch, [size // 2], axis=0) if size > 1 else [batch]
