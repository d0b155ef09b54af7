"""Operations that are safe at zero, at infinity and in float32."""

import math
from typing import Any

import keras
from keras import ops

from keras_otreg import engine

# exp(80) is finite in float32, and so is its product with any weight.
LARGEST_EXPONENT = 80.0
LOG_OF_ZERO = -1e30
# Numbers in a matrix that no core has in a cache of its own.
LARGE = 2**19


def at_least_float32(x: Any) -> Any:
    """Return a tensor in float32, or in float64 if it is."""
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    return x if dtype == "float64" else ops.cast(x, "float32")


def frozen(x: Any) -> Any:
    """Stop gradients into every tensor of a structure."""
    return keras.tree.map_structure(ops.stop_gradient, x, none_is_leaf=False)


def column(x: Any) -> Any:
    """Reshape `(..., n)` to `(..., n, 1)`."""
    return ops.expand_dims(x, -1)


def row(x: Any) -> Any:
    """Reshape `(..., m)` to `(..., 1, m)`."""
    return ops.expand_dims(x, -2)


def matmul(x: Any, y: Any) -> Any:
    """Product of matrices in their own precision.

    Accelerators that round float32 are given parts that need no rounding.
    """
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    if not _is_rounded(x):
        return engine.matmul(x, y)
    leading_x, leading_y = _leading_half(x), _leading_half(y)
    rest = engine.matmul(leading_x, y - leading_y)
    rest = rest + engine.matmul(x - leading_x, leading_y)
    return engine.matmul(leading_x, leading_y) + rest


def _is_rounded(x):
    dtype = keras.backend.standardize_dtype(x.dtype)
    return dtype == "float32" and engine.rounds_matmul()


def _leading_half(x):
    """The leading 11 of the 24 bits of numbers, after Veltkamp."""
    shifted = (2.0**13 + 1.0) * x
    return shifted - (shifted - x)


def sum_of_columns(matrix: Any, weights: Any) -> Any:
    """Weighted sum of the columns of `(..., n, m)`, with weights `(..., m)`."""
    if _is_rounded(matrix):
        return ops.sum(matrix * row(weights), axis=-1)
    return matmul(matrix, column(weights))[..., 0]


def sum_of_rows(weights: Any, matrix: Any) -> Any:
    """Weighted sum of the rows of `(..., n, m)`, with weights `(..., n)`."""
    if _is_rounded(matrix):
        return ops.sum(matrix * column(weights), axis=-2)
    shape = tuple(matrix.shape)
    # A size is unknown as `None`, or as a symbol of JAX.
    is_known = all(isinstance(size, int) for size in shape)
    is_large = is_known and math.prod(shape) >= LARGE
    if not is_large or len(shape) > 2 or shape[0] % 2:
        return matmul(row(weights), matrix)[..., 0, :]
    # Two cores read half of the rows each, not half of every row.
    n, m = shape
    halves = ops.reshape(matrix, (2, n // 2, m))
    sums = matmul(ops.reshape(weights, (2, 1, n // 2)), halves)
    return ops.sum(sums, axis=(0, 1))


def inner(x: Any, y: Any) -> Any:
    """Sum of the products of two tensors of shape `(..., n)`."""
    # For one problem a matrix product is faster, for many a sum.
    if len(x.shape) > 1 or len(y.shape) > 1 or _is_rounded(x):
        return ops.sum(x * y, axis=-1)
    return matmul(row(x), column(y))[0, 0]


def minimum(x: Any, y: Any) -> Any:
    """The smaller of a tensor and another or a number, in their precision."""
    return ops.where(y < x, y, x)


def smallest(x: Any, axis: int) -> Any:
    """Minimum of `(..., n, m)` along axis -1 or -2."""
    size = x.shape[axis]
    if not isinstance(size, int):
        return ops.min(x, axis=axis)
    # XLA materialises the operand of a reduction: here only half as much. The
    # halves may overlap by one entry.
    half = (size + 1) // 2
    first, last = slice(0, half), slice(size - half, size)
    if axis == -1:
        halves = x[..., first], x[..., last]
    else:
        halves = x[..., first, :], x[..., last, :]
    return ops.min(minimum(*halves), axis=axis)


def maximum(x: Any, y: Any) -> Any:
    """The larger of a tensor and another or a number, in their precision."""
    return ops.where(y > x, y, x)


def clipped(x: Any, low: float, high: float) -> Any:
    """Clip values that leave a range by rounding; the gradient passes."""
    return x + ops.stop_gradient(ops.clip(x, low, high) - x)


def safe_log(weights: Any) -> Any:
    """Logarithm of weights; a finite stand-in for minus infinity at zero."""
    positive = ops.where(weights > 0.0, weights, 1.0)
    return ops.where(weights > 0.0, ops.log(positive), LOG_OF_ZERO)


def safe_sqrt(squared: Any) -> Any:
    """Square root whose gradient is zero, not infinite, at zero."""
    # Both branches must be finite: the gradient of `where` visits the one
    # not taken. What is not a number is not zero, and stays what it is.
    zero = squared <= 0.0
    return ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, squared)))


def safe_divide(numerator: Any, denominator: Any) -> Any:
    """Quotient that is zero where the denominator is."""
    divisor = ops.where(denominator == 0.0, 1.0, denominator)
    return ops.where(denominator == 0.0, 0.0, numerator / divisor)


def of_unit_size(x: Any, axis: Any = None) -> Any:
    """Divide by the largest absolute value over some axes, held constant."""
    largest = ops.max(ops.abs(x), axis=axis, keepdims=True)
    return safe_divide(x, ops.stop_gradient(largest))


def bounded_exp(x: Any) -> Any:
    """Exponential that cannot overflow, so that 0 times it stays 0."""
    return ops.exp(minimum(x, LARGEST_EXPONENT))


def softmin(epsilon: Any, values: Any, log_weights: Any, axis: int) -> Any:
    """Weighted soft minimum of `values` along `axis`."""
    exponents = log_weights - values / column(column(epsilon))
    return -column(epsilon) * ops.logsumexp(exponents, axis=axis)
