"""The least time that a solver of matrix products can take here."""

import pathlib

import numpy as np
import tensorflow as tf

# Where nobody tells how large the caches are.
CACHE = 32 * 2**20
LEAST_READ = 4 * 8192**2
PRODUCTS, READING = "two bare products", "reading the kernel"


def cache(system=pathlib.Path("/sys/devices/system/cpu")):
    """Bytes of the last caches before memory, of all cores together.

    Larger kernels are read from memory in each half iteration.
    """
    found = {}
    try:
        for place in system.glob("cpu[0-9]*/cache/index*"):
            level, cores, size = (
                (place / name).read_text().strip()
                for name in ("level", "shared_cpu_list", "size")
            )
            # Cores that share a cache all tell of it.
            kibibytes = int(size.removesuffix("K"))
            found.setdefault(int(level), {})[cores] = 1024 * kibibytes
    except (OSError, ValueError):
        return CACHE
    return sum(found[max(found)].values()) if found else CACHE


def matmul_pairs(of, iterations):
    """Bare products with the kernel: two an iteration, and nothing else."""
    ways = {
        "K' u": lambda K, u: tf.matmul(K, u, transpose_a=True),
        "u' K": lambda K, u: tf.transpose(tf.matmul(tf.transpose(u), K)),
    }
    return {
        f"{PRODUCTS}, K v and {name}{by}": _pair(of, iterations, left, compiled)
        for name, left in ways.items()
        for by, compiled in (("", False), (", XLA", True))
    }


def _pair(of, iterations, left, jit_compile):
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


def reading():
    """Works that pass over more memory than the caches hold; their bytes."""
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


def seconds_per_byte(times, bytes_read):
    """Of the fastest way to read; takes all of them out of some times."""
    ways = [name for name in times if name.startswith("reading, ")]
    return min(times.pop(name) for name in ways) / bytes_read


def fastest_pair(times):
    pairs = [name for name in times if name.startswith(PRODUCTS)]
    return min(pairs, key=times.get)
