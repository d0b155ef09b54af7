"""Plans without a solver: the controls of an ablation."""

from typing import Any

import numpy as np

from keras_otreg import checks

CONTROLS = ("identity", "uniform", "random")


def control_plan(name: str, teacher: int, student: int) -> np.ndarray:
    """Return a plan of shape `(teacher, student)` with uniform marginals.

    `"identity"` pairs neuron i with neuron i, `"uniform"` every neuron with
    every other, `"random"` each with others, by a draw that is always the same.
    """
    if name == "uniform":
        return np.full((teacher, student), 1.0 / (teacher * student), "float32")
    if name == "identity":
        if teacher != student:
            raise checks.invalid(
                "layers of equal width for plan='identity', which pairs neuron "
                "i with neuron i",
                f"{teacher} teacher neurons and {student} student neurons",
                "Use plan='transport'.",
            )
        return staircase(teacher, student)
    order = np.random.default_rng(0).permutation(teacher)
    return staircase(teacher, student)[order]


def staircase(n: int, m: int) -> Any:
    """The plan that fills from the first corner; diagonal if `n` is `m`."""
    rows, columns = np.arange(n + 1) / n, np.arange(m + 1) / m
    ends = np.minimum(rows[1:, None], columns[1:])
    starts = np.maximum(rows[:-1, None], columns[:-1])
    return np.maximum(ends - starts, 0.0).astype("float32")
