"""Choice of the neurons of a group that stay, by their covariances `(n, n)`."""

from collections.abc import Callable

import numpy as np

from keras_otreg.features.batches import softmax

EPSILON = 0.05
MAX_ROUNDS = 20


def transport(gram: np.ndarray, count: int, rng: np.random.Generator):
    """The neurons onto which the others are moved most cheaply.

    A neuron is its centred activation; its mass is its share of the variance,
    and the cost between two is one minus their squared correlation. The mass
    of the target is free: a semi-relaxed transport problem, whose support is
    found by alternating between the plan and the medoids, from a greedy start.
    """
    mass, costs = _mass(gram), squared_sines(gram)
    kept: list[int] = []
    nearest = np.ones(len(mass))
    for _ in range(count):
        # The neuron that costs the most to move.
        need = mass * nearest
        need[kept] = -1.0
        kept.append(int(np.argmax(need)))
        nearest = np.minimum(nearest, costs[:, kept[-1]])
    for _ in range(MAX_ROUNDS):
        plan = semi_relaxed_plan(costs[:, kept], mass)
        expenses = costs @ plan
        # Its own medoid first for those that move the most mass.
        new = np.argmin(expenses, axis=0).tolist()
        if len(set(new)) < count or set(new) == set(kept):
            break
        kept = new
    return np.array(kept)


CHOICES: dict[str, Callable[..., np.ndarray]] = {
    "transport": transport,
    # Those that explain the others, as by a QR with pivots.
    "pivots": lambda gram, count, rng: pivoted(gram, count)[0],
    "largest": lambda gram, count, rng: np.argsort(
        -np.diag(gram), kind="stable"
    )[:count],
    # Every n/k-th, as in weight selection.
    "uniform": lambda gram, count, rng: np.arange(count) * len(gram) // count,
    "random": lambda gram, count, rng: rng.permutation(len(gram))[:count],
}


def chosen(
    how: str, gram: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Indices of so many neurons that stay, in ascending order."""
    return np.sort(CHOICES[how](gram, count, rng))


def semi_relaxed_plan(costs: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The entropic plan `(n, k)` whose rows sum to `mass` alone."""
    return mass[:, None] * softmax(-costs / EPSILON)


def plan_onto(gram: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The plan `(n, k)`, of sum 1, from all neurons onto those that stay."""
    return semi_relaxed_plan(squared_sines(gram)[:, kept], _mass(gram))


def squared_sines(gram: np.ndarray) -> np.ndarray:
    """One minus the squared correlation between any two neurons."""
    variance = np.diag(gram)
    alive = np.where(variance > 0.0, variance, 1.0)
    squares = gram**2 / (alive[:, None] * alive[None, :])
    costs = 1.0 - np.minimum(squares, 1.0)
    np.fill_diagonal(costs, 0.0)
    return costs


def pivoted(gram: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Neurons in the order of a Cholesky factorisation with pivots.

    Also returns the variance that is left unexplained before and after each.
    """
    left = np.diag(gram).astype(float)
    factor = np.zeros((count, len(gram)))
    order: list[int] = []
    unexplained = [left.sum()]
    for step in range(count):
        candidates = left.copy()
        candidates[order] = -1.0
        pivot = int(np.argmax(candidates))
        order.append(pivot)
        if left[pivot] > 1e-12 * max(unexplained[0], 1e-300):
            row = gram[pivot] - factor[:step, pivot] @ factor[:step]
            factor[step] = row / np.sqrt(left[pivot])
            left = np.maximum(left - factor[step] ** 2, 0.0)
        left[pivot] = 0.0
        unexplained.append(left.sum())
    return np.asarray(order), np.asarray(unexplained)


def _mass(gram):
    variance = np.diag(gram)
    return variance / max(variance.sum(), np.finfo(float).tiny)
