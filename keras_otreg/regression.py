"""Logistic regression on features, solved to the end, and varied samples."""

import functools
import warnings
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, class_costs
from keras_otreg.class_costs.from_features import by_class
from keras_otreg.class_costs.relations import plan_between

# Strengths that a validation chooses from, for features of unit variance.
STRENGTHS = tuple(10.0**k for k in range(-6, 1))
# Of the gradient, at the solution and where a strength is chosen.
TOLERANCE, ENOUGH_TO_CHOOSE = 1e-9, 1e-5
MOST_ITERATIONS = 5000
# Every so many samples are held out, without validation data and in folds.
HELD_OUT, FOLDS = 5, 10
# Copies of a sample at most, and of all samples, unless one of each is more.
COPIES, MOST = 20, 50_000


class Samples:
    """Features `(n, d)` of samples with targets `(n, units)` and weights.

    The features are divided by `scale`, their deviation if it is not given.
    """

    def __init__(self, features, targets, weights, several=True, scale=None):
        features = np.asarray(features, np.float64)
        self.several = several
        self.scale = scale or max(float(features.std()), 1e-12)
        self.x = features / self.scale
        self.y = targets
        self.weights = weights.astype(np.float64)
        self.weights = self.weights / max(self.weights.sum(), 1e-12)
        self._latest = None

    def divided(self):
        """All but every fifth sample of each class, and those."""
        held = self._every(HELD_OUT, HELD_OUT // 2)
        return self._part(~held), self._part(held)

    def held_out(self, l2, bias=True):
        """Logits and targets of samples, by heads that are solved on others."""
        logits = np.zeros(self.y.shape)
        for k in range(min(FOLDS, len(logits))):
            held = self._every(FOLDS, k)
            found = self._part(~held).solved(l2, ENOUGH_TO_CHOOSE, bias)[0]
            logits[held] = self._part(held).logits(found)
        alone = self.y.sum(axis=0) < 2.0
        known = self.y @ alone == 0.0
        return logits[known], self.y[known]

    def strength_of(self, weights):
        """The strength of the penalty that holds weights in balance."""
        kernel = weights[:-1] * self.scale
        slope = self._cross_entropy(self.logits(weights))[1]
        balance = -(kernel * (self.x.T @ slope)).sum() / np.square(kernel).sum()
        return float(np.clip(balance, STRENGTHS[0], STRENGTHS[-1]))

    def _every(self, step, first):
        """Whether each sample is among every so many of its class."""
        order = np.argsort(self.y.argmax(axis=1), kind="stable")
        chosen = np.zeros(len(order), bool)
        chosen[order[first::step]] = True
        return chosen

    def _part(self, rows):
        own = self.x[rows] * self.scale, self.y[rows], self.weights[rows]
        return Samples(*own, self.several, self.scale)

    @functools.cached_property
    def _reduced(self):
        """Features in a basis of samples, of which the kernel is a sum."""
        if self.x.shape[1] <= len(self.x):
            return self.x, None
        basis, x = np.linalg.qr(self.x.T)
        return x.T, basis

    def solved(self, l2, tolerance=TOLERANCE, bias=True):
        """Weights for features as they are, the loss and the gradient.

        The last row of the weights is the bias, which stays 0 without `bias`.
        """
        optimize = checks.installed("scipy.optimize", "demo", "Solved heads")
        x, basis = self._reduced
        count, units = x.shape[1], self.y.shape[1]
        last = np.full((len(x), 1), float(bias))
        inputs = np.concatenate([x, last], axis=1)

        def loss(flat):
            weights = flat.reshape(count + 1, units)
            value, slope = self._cross_entropy(inputs @ weights)
            gradient = inputs.T @ slope
            gradient[:-1] += l2 * weights[:-1]
            value += 0.5 * l2 * np.square(weights[:-1]).sum()
            return value, gradient.ravel()

        if self._latest is None:
            self._latest = np.zeros((count + 1) * units)
        most = {"maxiter": MOST_ITERATIONS, "maxfun": 2 * MOST_ITERATIONS}
        options = {"gtol": tolerance, "ftol": 0.0, **most}
        self._latest = optimize.minimize(
            loss, self._latest, jac=True, method="L-BFGS-B", options=options
        ).x
        weights = self._latest.reshape(count + 1, units)
        gradient = float(np.abs(loss(self._latest)[1]).max())
        value = float(self._cross_entropy(inputs @ weights)[0])
        kernel = weights[:-1] if basis is None else basis @ weights[:-1]
        weights = np.concatenate([kernel / self.scale, weights[-1:]])
        return weights, value, gradient

    def logits(self, weights):
        """Logits of some weights."""
        return self.x * self.scale @ weights[:-1] + weights[-1]

    def score(self, weights):
        """Accuracy and minus the cross-entropy of some weights."""
        logits = self.logits(weights)
        if self.several:
            right = logits.argmax(axis=1) == self.y.argmax(axis=1)
        else:
            right = ((logits > 0.0) == (self.y > 0.5)).mean(axis=1)
        value, _ = self._cross_entropy(logits)
        return float(self.weights @ right), -float(value)

    def _cross_entropy(self, logits):
        """The weighted mean, and its gradient by the logits."""
        weights = self.weights[:, None]
        if self.several:
            shifted = logits - logits.max(axis=1, keepdims=True)
            log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            logs = shifted - log_sum
            value = -(weights * self.y * logs).sum()
            mass = self.y.sum(axis=1, keepdims=True)
            return value, weights * (mass * np.exp(logs) - self.y)
        softplus = np.logaddexp(0.0, logits)
        value = (weights * (softplus - self.y * logits)).sum()
        return value, weights * (np.exp(logits - softplus) - self.y)


def varied(
    samples: Samples, x: np.ndarray, y: np.ndarray, costs: Any = None
) -> tuple[Samples, np.ndarray]:
    """Samples beside copies of them of the same weight, and a plan.

    A copy is a sample plus the difference of a random source sample from the
    mean of its class, which is drawn by the plan, the same each time. The plan
    is the mass from each source class, a column for each target class.
    """
    groups = by_class(x, y, "source")
    counts = np.array([len(group) for group in groups])
    if counts.max() == 1:
        warnings.warn(
            "Each class of the source has one sample, so that the source "
            "changes nothing. Its labels must be classes, of several samples "
            "each.",
            stacklevel=4,
        )
    differences = np.concatenate([g - g.mean(axis=0) for g in groups])
    own, labels = samples.x * samples.scale, samples.y.argmax(axis=1)
    plan = np.zeros((len(groups), samples.y.shape[1]))
    present = np.unique(labels)
    if costs is None:
        costs = class_costs.centroid(x, y, own, labels)
    else:
        costs = checks.cost_matrix(costs, "source_costs")
        if costs.shape != plan.shape:
            raise checks.invalid(
                "costs of shape (source classes, target classes), "
                f"{plan.shape}",
                f"shape {costs.shape}",
                argument="source_costs",
            )
        costs = costs[:, present]
    plan[:, present] = plan_between(costs)
    rng = np.random.default_rng(0)
    count = int(np.clip(MOST // len(own), 1, COPIES))
    rows = np.tile(np.arange(len(own)), count)
    chosen = np.zeros(len(rows), int)
    for target in present:
        of_target = labels[rows] == target
        share = plan[:, target] / plan[:, target].sum()
        chosen[of_target] = rng.choice(len(share), of_target.sum(), p=share)
    place = (rng.random(len(rows)) * counts[chosen]).astype(int)
    # Behind where the samples of each class begin.
    place += (np.cumsum(counts) - counts)[chosen]
    both = Samples(
        np.concatenate([own, own[rows] + differences[place]]),
        np.concatenate([samples.y, samples.y[rows]]),
        np.concatenate([samples.weights, samples.weights[rows] / count]),
        scale=samples.scale,
    )
    return both, plan


def targets_of(
    labels: Any, units: int, several: bool = True, name: str = "y"
) -> np.ndarray:
    """Return a row of so many targets for each sample.

    Labels are rows, or numbers if a sample has one class of `several`.
    """
    labels = np.asarray(keras.ops.convert_to_numpy(labels))
    labels = checks.finite_array(labels, name, least_rank=1)
    labels = labels.reshape(len(labels), -1)
    if several and labels.shape[1] == 1:
        classes = labels[:, 0].astype(int)
        wrong = labels[(labels[:, 0] != classes) | (classes < 0), 0]
        wrong = np.append(wrong, classes[classes >= units])
        if wrong.size:
            raise checks.invalid(
                f"labels from 0 to {units - 1}, whole numbers, as the head "
                f"has {units} units",
                f"labels such as {wrong[0]:g}",
                argument=name,
            )
        return np.eye(units)[classes]
    if labels.shape[1] != units:
        raise checks.invalid(
            f"a number of the class, or {units} targets, for each sample",
            f"labels of shape {labels.shape}",
            argument=name,
        )
    return labels.astype(np.float64)
