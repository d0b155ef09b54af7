"""Transport problems to measure solvers on."""

from typing import Any, NamedTuple

import numpy as np

from keras_otreg.ot import Sinkhorn, TransportProblem, regularized_cost
from keras_otreg.ot.plan import marginal_error
from keras_otreg.ot.solution import TransportSolution

BATCH = 32


class Cloud(NamedTuple):
    """Two sets of neurons of a mean distance of 1, with equal weights.

    Attributes:
        x: Neurons of one network, of shape `(n, samples)`, in float32.
        y: Neurons of another, of shape `(m, samples)`.
        epsilon: Entropic strength.
    """

    x: np.ndarray
    y: np.ndarray
    epsilon: float

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Equal weights of both sides, in float64."""
        return tuple(np.full(len(p), 1.0 / len(p)) for p in (self.x, self.y))

    def costs(self, dtype: str) -> np.ndarray:
        """Distances between the neurons, of shape `(n, m)`."""
        return distances(self.x, self.y).astype(dtype)

    def problem(self, dtype: str) -> TransportProblem:
        """The problem in a precision."""
        a, b = (w.astype(dtype) for w in self.weights)
        return TransportProblem(self.costs(dtype), a, b, self.epsilon)


class Quality(NamedTuple):
    """How good some potentials are.

    Attributes:
        marginal_error: L1 error of both marginals; of each problem of a batch.
        value: The dual value.
    """

    marginal_error: Any
    value: Any


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances in float64."""
    x, y = x.astype("float64"), y.astype("float64")
    squared = np.sum(x**2, 1)[:, None] + np.sum(y**2, 1) - 2.0 * x @ y.T
    return np.sqrt(np.maximum(squared, 0.0))


def cloud(x: np.ndarray, y: np.ndarray, epsilon: float) -> Cloud:
    """Scales two sets of points to a mean distance of 1."""
    scale = distances(x, y).mean()
    return Cloud(
        (x / scale).astype("float32"), (y / scale).astype("float32"), epsilon
    )


def noise(size: int, epsilon: float) -> Cloud:
    """Neurons that answer with noise: rectified, and a noisy copy of them."""
    rng = np.random.default_rng(size)
    x = np.maximum(rng.normal(size=(size, BATCH)), 0.0)
    y = np.maximum(x + rng.normal(size=x.shape), 0.0)
    return cloud(x, y[rng.permutation(size)], epsilon)


def quality(of: Cloud, f: np.ndarray, g: np.ndarray) -> Quality:
    """Judges potentials in float64, whoever found them."""
    found = qualities(of.problem("float64"), f, g)
    return Quality(*(float(x) for x in found))


def qualities(problem: TransportProblem, f: Any, g: Any) -> Quality:
    """Judges potentials of one problem or of a batch, which is in float64."""
    f, g = (np.asarray(p, "float64") for p in (f, g))
    solution = TransportSolution(f, g, None, None)
    return Quality(
        np.asarray(marginal_error(problem, f, g)),
        np.asarray(regularized_cost(problem, solution)),
    )


def best_value(of: Cloud) -> float:
    """The optimum to ten digits: the reference of all values."""
    return float(best_values(of.problem("float64")))


def best_values(problem: TransportProblem) -> np.ndarray:
    """The optimum of each problem, which are in float64."""
    solution = Sinkhorn(3000, 1e-9)(problem)
    return qualities(problem, solution.f, solution.g).value
