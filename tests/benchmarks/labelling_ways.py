"""Ways to label unlabelled pictures, for the measurement of labels.

Each takes the draw, probabilities and the number of the round, and returns
labels and weights.
"""

import numpy as np
from labelling_tasks import ROUNDS

from keras_otreg.heads import Samples, targets_of
from keras_otreg.labelling import from_probabilities
from keras_otreg.labelling.labels import at_temperature, best_temperature


def temperature(draw, l2):
    """By cross-validation of the labelled pictures."""
    data = Samples(
        draw.x,
        targets_of(draw.y, draw.classes),
        np.ones(len(draw.x)),
        scale=draw.scale,
    )
    return best_temperature(*data.held_out(l2))


def pseudo(threshold):
    def labelled(draw, p, number):
        hard = np.eye(draw.classes)[p.argmax(axis=1)]
        return hard, (p.max(axis=1) > threshold).astype(float)

    return labelled


def plan(shares, sure=(0.3, 0.3), **settings):
    """By a plan; the surest share grows from the first to the last round."""

    def labelled(draw, p, number):
        found = from_probabilities(
            p,
            shares=shares(draw, p) if callable(shares) else shares,
            sure=np.linspace(*sure, ROUNDS)[number],
            y=draw.y,
            validation=draw.held,
            **settings,
        )
        return found.probabilities, found.sample_weight

    return labelled


def hard(method):
    """The most probable class in place of its probabilities."""

    def labelled(*given):
        q, weight = method(*given)
        return np.eye(q.shape[1])[q.argmax(axis=1)], weight

    return labelled


def calibrated(method, by):
    """The same at the temperature that suits the first head."""

    def labelled(draw, p, number):
        return method(draw, at_temperature(p, draw.heat[by]()), number)

    return labelled


def known(draw, p):
    return np.bincount(draw.truth, minlength=draw.classes) / len(draw.truth)


def of_held(draw, p):
    return np.bincount(draw.held[1], minlength=draw.classes) / len(draw.held[1])


def of_fewer(method, labels):
    """The same with so many validation labels a class on average."""

    def labelled(draw, p, number):
        rows = np.random.default_rng(draw.few).permutation(len(draw.held[1]))
        rows = rows[: labels * draw.classes]
        held = tuple(values[rows] for values in draw.held)
        return method(draw._replace(held=held), p, number)

    return labelled


def within_bounds(draw, p):
    """Estimated shares within the Wilson intervals of the labelled ones."""
    n, z = len(draw.y), 1.96
    part = np.bincount(draw.y, minlength=draw.classes) / n
    middle = (part + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(part * (1 - part) / n + z**2 / (4 * n**2))
    half = half / (1 + z**2 / n)
    shares = from_probabilities(p, shares="model").shares
    # The nearest point of the box whose sum is one.
    low, high = -1.0, 1.0
    for _ in range(50):
        shift = 0.5 * (low + high)
        found = np.clip(shares + shift, middle - half, middle + half)
        low, high = (shift, high) if found.sum() < 1.0 else (low, shift)
    return found / found.sum()


def virtual(mass):
    """A further class at no cost takes what is least sure (P2OT)."""

    def labelled(draw, p, number):
        shares = np.full(draw.classes, 1.0 / draw.classes)
        # Costs of zero: a probability of one, before rows are divided.
        joined = np.concatenate([p, np.ones((len(p), 1))], axis=1) / 2.0
        b = np.concatenate([mass * shares, [1.0 - mass]])
        found = from_probabilities(joined, shares=b, sure=1.0).probabilities
        q = found[:, :-1]
        q = q / np.maximum(q.sum(axis=1, keepdims=True), 1e-12)
        return q, 1.0 - found[:, -1]

    return labelled


def truth(draw, p, number):
    return np.eye(draw.classes)[draw.truth], np.ones(len(draw.truth))
