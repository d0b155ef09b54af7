"""Samples that vary as those of source classes do."""

import warnings
from typing import Any

import numpy as np

from keras_otreg import checks, class_costs
from keras_otreg.class_costs.relevance import plan_between

# Copies of a sample at most, and of all samples, unless one of each is more.
COPIES, MOST = 20, 50_000


class Variation:
    """How source samples differ from the means of their classes.

    Features are of shape `(samples, units)`, labels of shape `(samples,)`.
    `costs`, of shape `(source classes, target classes)`, say how far classes
    are; distances between their means if not given.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, costs: Any = None):
        checks.finite_array(x, "features of the source", least_rank=2)
        checks.one_label_each(x, y, "source")
        labels = np.unique(y, return_inverse=True)[1]
        counts = np.bincount(labels)
        if counts.max() == 1:
            warnings.warn(
                "Each class of the source has one sample, so that the source "
                "changes nothing. Its labels must be classes, of several "
                "samples each.",
                stacklevel=3,
            )
        means = np.zeros((len(counts), x.shape[1]))
        np.add.at(means, labels, x)
        self._differences = x - (means / counts[:, None])[labels]
        # Where the samples of each class begin, in order of the classes.
        self._order = np.argsort(labels, kind="stable")
        self._counts, self._firsts = counts, np.cumsum(counts) - counts
        self._source, self._costs = (x, y), costs

    def plan(self, x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
        """Mass from each source class, for each of so many target classes.

        It has shape `(source classes, target classes)`; columns sum to the
        same mass for all target classes with samples, and to 0 for others.
        """
        present = np.unique(y)
        costs = self._costs
        if costs is None:
            costs = class_costs.centroid(*self._source, x, y)
        else:
            shape = len(self._counts), classes
            costs = checks.cost_matrix(costs, "source_costs")
            if costs.shape != shape:
                raise checks.invalid(
                    f"costs of shape (source classes, target classes), {shape}",
                    f"shape {costs.shape}",
                    argument="source_costs",
                )
            costs = costs[:, present]
        plan = np.zeros((len(self._counts), classes))
        plan[:, present] = plan_between(costs)
        return plan

    def copies(
        self, x: np.ndarray, y: np.ndarray, plan: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Varied copies of samples, and the number of the sample of each.

        A copy is a sample plus the difference of a random source sample from
        the mean of its class, a class drawn by the plan. The draws are the
        same in each call.
        """
        rng = np.random.default_rng(0)
        count = int(np.clip(MOST // len(x), 1, COPIES))
        rows = np.tile(np.arange(len(x)), count)
        chosen = np.zeros(len(rows), int)
        for target in np.unique(y):
            own = y[rows] == target
            share = plan[:, target] / plan[:, target].sum()
            chosen[own] = rng.choice(len(share), own.sum(), p=share)
        place = (rng.random(len(rows)) * self._counts[chosen]).astype(int)
        added = self._order[self._firsts[chosen] + place]
        copies = x[rows]
        copies += self._differences[added]
        return copies, rows
