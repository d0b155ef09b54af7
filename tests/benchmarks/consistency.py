"""Heads trained by FixMatch and FlexMatch on features of augmented pictures."""

from typing import NamedTuple

import numpy as np

from keras_otreg.features.batches import softmax
from keras_otreg.heads import targets_of

STEPS, BATCH = 300, 448
MOMENTUM, DECAY = 0.9, 0.99
THRESHOLDS = (0.7, 0.9, 0.95)
RATES = (0.003, 0.03)
FIXMATCH, FLEXMATCH = "FixMatch", "FlexMatch"
AVERAGED = ", averaged weights"


class Setting(NamedTuple):
    """A method with its threshold and learning rate."""

    method: str
    threshold: float
    rate: float

    def __str__(self):
        return f"{self.method}, above {self.threshold}, rate {self.rate}"


SETTINGS = [
    Setting(method, threshold, rate)
    for method in (FIXMATCH, FLEXMATCH)
    for threshold in THRESHOLDS
    for rate in RATES
]


def learned(latest, classes):
    """How well each class is learned, from 0 to 1, as FlexMatch counts it.

    Args:
        latest: The class that each sample had when last it was sure, or -1.
        classes: The number of classes.
    """
    counts = np.bincount(latest[latest >= 0], minlength=classes)
    status = counts / max(counts.max(), (latest < 0).sum())
    return status / (2.0 - status)


def trained(draw, views, l2, weights, setting, seed):
    """Weights after a training from those given, and their moving average.

    Each step sees all labelled pictures and a batch of the others, whose labels
    come from the plain picture and whose gradient from one of its strong views.

    Args:
        draw: A `Draw`.
        views: Features of strong views of the unlabelled, `(views, n, d)`.
        l2: The strength of the ridge.
        weights: A kernel with the bias as its last row.
        setting: A `Setting`.
        seed: Of the batches and of the views.
    """
    rng = np.random.default_rng(seed)
    x, weak, views = (
        with_one(x / draw.scale) for x in (draw.x, draw.more, views)
    )
    hard = np.eye(draw.classes, dtype="float32")
    y = targets_of(draw.y, draw.classes).astype("float32")
    w = weights.copy()
    w[:-1] *= draw.scale
    w = w.astype("float32")
    average, speed = w, np.zeros_like(w)
    latest = np.full(len(weak), -1)
    for step in range(STEPS):
        rows = rng.integers(len(weak), size=BATCH)
        seen = views[rng.integers(len(views), size=BATCH), rows]
        p = softmax(weak[rows] @ w)
        guess, sureness = p.argmax(axis=1), p.max(axis=1)
        least = setting.threshold
        if setting.method == FLEXMATCH:
            least = least * learned(latest, draw.classes)[guess]
            is_sure = sureness >= setting.threshold
            latest[rows[is_sure]] = guess[is_sure]
        counts = (sureness >= least)[:, None].astype("float32") / BATCH
        gradient = x.T @ ((softmax(x @ w) - y) / len(x))
        gradient += seen.T @ (counts * (softmax(seen @ w) - hard[guess]))
        gradient[:-1] += l2 * w[:-1]
        speed = MOMENTUM * speed + gradient
        fall = float(np.cos(7.0 * np.pi * step / (16.0 * STEPS)))
        w = w - setting.rate * fall * (gradient + MOMENTUM * speed)
        average = DECAY * average + (1.0 - DECAY) * w
    found = np.stack([w, average]).astype("float64")
    found[:, :-1] /= draw.scale
    return found


def with_one(x):
    """Features with a last column of ones, for the bias."""
    ones = np.ones((*x.shape[:-1], 1))
    return np.concatenate([x, ones], axis=-1).astype("float32")
