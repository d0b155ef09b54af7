"""The bank of Gaussian kernels of the maximum mean discrepancy."""

from typing import Any

from keras import ops

from keras_otreg.ot.numerics import column, safe_divide

# Variances of the kernels, relative to a typical squared distance.
BANK = (0.25, 0.5, 1.0, 2.0, 4.0)


def gaussian_bank(squared: Any, scale: Any) -> Any:
    """Mean of the kernels `exp(-d^2 / (2 s^2))` of the bank, in [0, 1].

    `scale` is a typical squared distance; at zero all points count as one.
    """
    halved = safe_divide(-0.5 * squared, column(column(scale)))
    return sum(ops.exp(halved / width) for width in BANK) / len(BANK)
