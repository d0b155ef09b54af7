"""Transport problems to measure solvers on, and how good a solution is."""

from typing import Any, NamedTuple

import numpy as np

from keras_otreg.ot import Sinkhorn, TransportProblem, regularized_cost
from keras_otreg.ot.plan import TransportSolution, marginal_error, prepared

BATCH = 32


class Cloud(NamedTuple):
    """Two sets of neurons of a mean distance of 1, with equal weights.

    `x` and `y` have the shapes `(n, samples)` and `(m, samples)`, in float32.
    """

    x: np.ndarray
    y: np.ndarray
    epsilon: float

    @property
    def weights(self):
        """Equal weights of both sides, in float64."""
        return tuple(np.full(len(p), 1.0 / len(p)) for p in (self.x, self.y))

    def costs(self, dtype):
        return distances(self.x, self.y).astype(dtype)

    def problem(self, dtype):
        a, b = (w.astype(dtype) for w in self.weights)
        return TransportProblem(self.costs(dtype), a, b, self.epsilon)


class Quality(NamedTuple):
    """L1 error of both marginals, and the dual value; of each of a batch."""

    error: Any
    value: Any


def distances(x, y):
    """Euclidean distances in float64."""
    x, y = x.astype("float64"), y.astype("float64")
    squared = np.sum(x**2, 1)[:, None] + np.sum(y**2, 1) - 2.0 * x @ y.T
    return np.sqrt(np.maximum(squared, 0.0))


def cloud(x, y, epsilon):
    """Two sets of points, scaled to a mean distance of 1."""
    scale = distances(x, y).mean()
    return Cloud(*(np.asarray(p / scale, "float32") for p in (x, y)), epsilon)


def noise(size, epsilon):
    """Neurons that answer with noise: rectified, and a noisy copy of them."""
    rng = np.random.default_rng(size)
    x = np.maximum(rng.normal(size=(size, BATCH)), 0.0)
    y = np.maximum(x + rng.normal(size=x.shape), 0.0)
    return cloud(x, y[rng.permutation(size)], epsilon)


def quality(problem, f, g):
    """Judges potentials in float64, whoever found them.

    Args:
        problem: A `Cloud`, or problems in float64.
        f: Potentials of the rows.
        g: Potentials of the columns.
    """
    if isinstance(problem, Cloud):
        problem = problem.problem("float64")
    f, g = (np.asarray(p, "float64") for p in (f, g))
    solution = TransportSolution(f, g, None, None)
    return Quality(
        np.asarray(marginal_error(prepared(problem), f, g))[()],
        np.asarray(regularized_cost(problem, solution))[()],
    )


def best_value(problem):
    """The optimum to ten digits: the reference of all values."""
    if isinstance(problem, Cloud):
        problem = problem.problem("float64")
    solution = Sinkhorn(3000, 1e-9)(problem)
    return quality(problem, solution.f, solution.g).value
