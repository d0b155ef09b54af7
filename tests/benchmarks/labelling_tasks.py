"""Tasks of the measurement of labels: pictures, draws and solved heads."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg.data import (
    efficientnet_lite0,
    few_shot,
    picture_parts,
    read_pictures,
)
from keras_otreg.features.batches import softmax
from keras_otreg.files import whole
from keras_otreg.heads import Samples, targets_of

SIZE, COMPONENTS, MOST, ROUNDS = 128, 256, 1500, 3
# Strongly augmented views of each training picture.
VIEWS = 4
TOLERANCE = 1e-5
PARTS = ("train", "validation", "test")


class Task(NamedTuple):
    """A folder of pictures, labels of each class, and how they are drawn."""

    data: str
    labels: int
    kind: str = "equal"

    def __str__(self):
        kind = "" if self.kind == "equal" else f", {self.kind}"
        return f"{self.data}, {self.labels} a class{kind}"


class Draw(NamedTuple):
    """Features and classes of one draw, and which training pictures they are.

    With augmentation `x` and `more` hold the views behind the plain pictures.
    `held` are probabilities of the validation pictures, by the head of the
    round before, and their classes.
    """

    x: np.ndarray
    y: np.ndarray
    more: np.ndarray
    truth: np.ndarray
    classes: int
    few: np.ndarray
    rest: np.ndarray
    scale: float
    heat: Any = None
    held: Any = None

    def augmented(self, views, both=True):
        """The same with views, of shape `(VIEWS, n, d)`, of pictures.

        They are those of all pictures, or of the unlabelled ones alone.
        """
        own = views[: len(views) if both else 0, self.few]
        return self._replace(
            x=np.concatenate([self.x, *own]),
            y=np.tile(self.y, 1 + len(own)),
            more=np.concatenate([self.more, *views[:, self.rest]]),
        )


def strong(seed):
    """Layers that change a picture strongly, as FixMatch asks for."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal", seed=seed),
            layers.RandomTranslation(0.125, 0.125, seed=seed + 1),
            layers.RandomRotation(1.0 / 12.0, seed=seed + 2),
            layers.RandomZoom((-0.2, 0.2), seed=seed + 3),
            layers.RandomColorJitter(
                (0, 255),
                brightness_factor=0.3,
                contrast_factor=0.4,
                saturation_factor=(0.3, 0.7),
                hue_factor=0.1,
                seed=seed + 4,
            ),
            layers.RandomErasing(
                1.0, (0.05, 0.25), fill_value=128, seed=seed + 5
            ),
        ]
    )


def kept(path, make):
    """Arrays of a file, which is made if it is not there."""
    if not path.exists():
        found = make()
        with whole(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **found)
    with np.load(path) as found:
        return dict(found)


def plain_features(folder):
    body = efficientnet_lite0((SIZE, SIZE, 3), False, pooling="avg")
    found = {}
    for part, files in picture_parts(folder).items():
        pictures = read_pictures(files, (SIZE, SIZE), 64)
        found[part] = body.predict(pictures.map(lambda x, y: x))
        found[f"{part} labels"] = files.labels
    return found


def strong_features(folder, k):
    body = efficientnet_lite0((SIZE, SIZE, 3), False, pooling="avg")
    pictures = read_pictures(
        picture_parts(folder)["train"], (SIZE, SIZE), 16
    ).map(lambda x, y: x)
    layer = strong(10 * k)
    changed = pictures.map(lambda x: layer(x, training=True))
    return {"train": body.predict(changed.unbatch().batch(64))}


def features(folder, cache):
    """Features and labels of each part of a folder, computed once.

    `views` are those of the strongly augmented training pictures, and `all` the
    features of the parts before they are reduced to components.
    """
    name = f"{folder.name}-{SIZE}"
    found = kept(cache / f"{name}.npz", lambda: plain_features(folder))
    views = [
        kept(
            cache / f"{name}-strong-{k}.npz",
            lambda k=k: strong_features(folder, k),
        )["train"]
        for k in range(VIEWS)
    ]
    mean = found["train"].mean(axis=0)
    centred = found["train"] - mean
    axes = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS].T
    parts = {
        part: ((found[part] - mean) @ axes, found[f"{part} labels"])
        for part in PARTS
    }
    views = np.stack([(view - mean) @ axes for view in views])
    return {**parts, "views": views, "all": found}


def drawn(data, task, seed):
    """The labelled and the unlabelled pictures of a seed."""
    x, y = data["train"]
    rng = np.random.default_rng(seed)
    classes = int(y.max()) + 1
    rows = np.arange(len(y))
    if task.kind == "random":
        one = few_shot(rows, y, per_class=1, seed=seed)[0].x
        others = rng.permutation(np.setdiff1d(rows, one))
        few = np.concatenate([one, others[: classes * (task.labels - 1)]])
    else:
        few = few_shot(rows, y, per_class=task.labels, seed=seed)[0].x
    rest = rng.permutation(np.setdiff1d(rows, few))
    if task.kind == "unequal":
        least = np.bincount(y[rest], minlength=classes).min()
        shares = 10.0 ** -np.linspace(0.0, 1.0, classes)
        counts = np.rint(least * shares[rng.permutation(classes)]).astype(int)
        rest = np.concatenate(
            [rest[y[rest] == k][:count] for k, count in enumerate(counts)]
        )
    rest = rest[:MOST]
    # In the scale of all pictures, so that one strength suits all rows.
    scale = float(x[rest].std())
    return Draw(x[few], y[few], x[rest], y[rest], classes, few, rest, scale)


def solved(draw, l2, labels=None, weight=None):
    """Weights of the head of the labelled pictures, and maybe of others."""
    x, y = draw.x, targets_of(draw.y, draw.classes)
    mass = np.full(len(x), 1.0 / len(x))
    if weight is not None and weight.any():
        copies = len(draw.more) // len(weight)
        weight = np.tile(weight, copies)
        x = np.concatenate([x, draw.more])
        y = np.concatenate([y, np.tile(labels, (copies, 1))])
        mass = np.concatenate([mass, weight / weight.sum()])
    return Samples(x, y, mass, scale=draw.scale).solved(l2, TOLERANCE)[0]


def predicted(weights, x):
    return softmax(x @ weights[:-1] + weights[-1])
