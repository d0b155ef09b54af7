"""The least time that a solver of matrix products can take here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_otreg.benchmark.machine import cache_bytes
from keras_otreg.benchmark.speed.problems import Cloud

# Where nobody tells how large the caches are.
CACHE = 32 * 2**20
LEAST_READ = 4 * 8192**2
PRODUCTS, READING = "two bare products", "reading the kernel"

Works = dict[str, Callable[[], Any]]


def cache() -> int:
    """Kernels of more bytes are read from memory in each half iteration."""
    return cache_bytes() or CACHE


def matmul_pairs(of: Cloud, iterations: int) -> Works:
    """Bare products with the kernel: two an iteration, and nothing else."""
    return {
        f"{PRODUCTS}, K v and {name}{by}": _pair(of, iterations, left, compiled)
        for name, left in (("K' u", _transposed), ("u' K", _as_row))
        for by, compiled in (("", False), (", XLA", True))
    }


def _transposed(kernel, u):
    import tensorflow as tf

    return tf.matmul(kernel, u, transpose_a=True)


def _as_row(kernel, u):
    import tensorflow as tf

    return tf.transpose(tf.matmul(tf.transpose(u), kernel))


def _pair(of, iterations, left, jit_compile):
    import tensorflow as tf

    kernel = tf.constant(np.exp(-of.costs("float32")))
    weights = tf.constant(of.weights[1].astype("float32")[:, None])

    @tf.function(autograph=False, jit_compile=jit_compile)
    def multiply(kernel, v):
        def body(i, v):
            u = tf.matmul(kernel, v)
            # Divided, or the numbers leave the range of float32.
            return i + 1, left(kernel, u / u[0])

        return tf.while_loop(lambda i, v: i < iterations, body, (0, v))[1]

    return lambda: multiply(kernel, weights).numpy()


def reading() -> tuple[Works, int]:
    """Passes over more memory than the caches hold, in several ways.

    Returns:
        The works, and how many bytes each of them reads.
    """
    import tensorflow as tf

    bytes_read = max(LEAST_READ, 2 * cache())
    numbers = tf.ones((bytes_read // 4,))
    add_up = tf.function(tf.reduce_sum, autograph=False)
    same = np.asarray(memoryview(numbers))
    works = {
        "TensorFlow's sum": lambda: add_up(numbers).numpy(),
        "NumPy's sum": same.sum,
        "NumPy's largest": same.max,
    }
    return {f"reading, {k}": work for k, work in works.items()}, bytes_read


def seconds_per_byte(times: dict[str, float], bytes_read: int) -> float:
    """Of the fastest way to read; takes all of them out of some times."""
    ways = [name for name in times if name.startswith("reading, ")]
    return min(times.pop(name) for name in ways) / bytes_read


def fastest_pair(times: dict[str, float]) -> str:
    """The name of the fastest pair of bare products."""
    pairs = [name for name in times if name.startswith(PRODUCTS)]
    return min(pairs, key=lambda name: times[name])
