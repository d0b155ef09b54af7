"""The least time that a solver of matrix products can take here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_otreg.benchmark.speed.problems import Cloud


def matmul_pairs(of: Cloud, iterations: int) -> Callable[[], Any]:
    """Bare products with the kernel: two an iteration, and nothing else."""
    import tensorflow as tf

    kernel = tf.constant(np.exp(-of.costs("float32")))
    weights = tf.constant(of.weights[1].astype("float32")[:, None])

    @tf.function(autograph=False)
    def multiply(kernel, v):
        def body(i, v):
            u = tf.matmul(kernel, v)
            # Divided, or the numbers leave the range of float32.
            return i + 1, tf.matmul(kernel, u / u[0], transpose_a=True)

        return tf.while_loop(lambda i, v: i < iterations, body, (0, v))[1]

    return lambda: multiply(kernel, weights).numpy()


def reading() -> tuple[Callable[[], Any], int]:
    """A pass over more memory than any cache holds.

    Returns:
        The work, and how many bytes it reads.
    """
    import tensorflow as tf

    numbers = tf.ones((8192, 8192))
    add_up = tf.function(tf.reduce_sum, autograph=False)
    return lambda: add_up(numbers).numpy(), 4 * 8192**2
