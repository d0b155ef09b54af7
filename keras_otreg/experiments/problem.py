"""Size, data, teacher and starting weights, which all methods share."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.data import Labelled, few_shot
from keras_otreg.heads import solve_head
from keras_otreg.labelling import solve_head_in_rounds

# A student's layer and the teacher's layer that it is compared with.
Pair = tuple[str, str]
HEAD = "head"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of an experiment, beside its data and methods.

    `seeds` draws of labels, `per_class` for each class of the target, are
    reported, from `seed` on; other `draws` choose among `strengths`, if any.
    The source network has three convolutions of some `channels` and a layer of
    `units` where penalties act. It is trained for `source_epochs`, and the
    target for `steps`, on a learning curve of some `points`.
    """

    seeds: int = 8
    seed: int = 0
    per_class: int = 2
    source_epochs: int = 12
    steps: int = 200
    points: int = 8
    strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    draws: int = 3
    learning_rate: float = 1e-3
    channels: tuple[int, int, int] = (16, 32, 64)
    units: int = 128

    @property
    def steps_per_point(self) -> int:
        """Steps between two points of a learning curve."""
        return self.steps // self.points

    @property
    def reported_seeds(self) -> range:
        """Seeds of the trainings whose test accuracy is reported."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def choosing_seeds(self) -> range:
        """Seeds of the trials that choose strengths, which are not reported."""
        first = self.seed + self.seeds
        return range(first, first + self.draws)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A transfer, ready to be learnt.

    Attributes:
        teacher: The pretrained network.
        student: Makes a network to train, whose last layer is `HEAD`.
        pretrained: Whether the student starts with the teacher's weights.
        pool: Target data that the few labels are drawn from.
        test: Target data for the reported accuracies.
        places: For each value of `Method.at`, the pairs of layers there.
        settings: Number of steps, learning rate and labels of a class.
        validation: Target data to choose strengths by, if not the pool's rest.
        batches: Makes the batches of a training from the few labelled
            samples, the others of the pool, a seed, and whether the method
            can use more than those; `None` for all samples in each step.
        unlabelled: Samples of the pool that weights are inherited on, if any.
        solved: Whether the head of a start is solved on the labelled samples.
        ratio: How many times more labels the first class has than the last.
        finish: Changes a student after its training on the few samples.
    """

    teacher: keras.Model
    student: Callable[[], keras.Model]
    pretrained: bool
    pool: Labelled
    test: Labelled
    places: Mapping[str, list[Pair]]
    settings: Settings
    validation: Labelled | None = None
    batches: Callable[
        [Labelled, Labelled, int, bool], tf.data.Dataset | None
    ] = lambda *_: None
    unlabelled: int = 0
    solved: bool = False
    ratio: float = 1.0
    finish: Callable[[keras.Model, Labelled], Any] | None = None

    def draw(self, seed: int) -> tuple[Labelled, Labelled]:
        """The few labelled samples of a seed, and the others of the pool."""
        both = few_shot(*self.pool, self.settings.per_class, seed)
        few, others = (unequal(x, self.ratio) for x in both)
        return few, others

    def start(self, few=None, more=None) -> list[np.ndarray]:
        """Weights to start from, of a head solved on few samples and `more`."""
        student = self.student()
        new = student.get_weights()
        if self.pretrained:
            head = len(new) - 2
            new = [*self.teacher.get_weights()[:head], *new[head:]]
        if not self.solved or few is None:
            return new
        student.set_weights(new)
        sides = few.x.ndim - len(student.input_shape)
        x, y = few.x, few.y
        if sides:
            # Of a picture also its mirror image.
            x, y = x.reshape(-1, *x.shape[2:]), np.repeat(y, x.shape[1])
        if more is None:
            solve_head(student, x, y, validation=self.validation)
        else:
            unlabelled, shares = more
            others = unlabelled[:, 0] if sides else unlabelled
            how = {"shares": shares, "validation": self.validation}
            solve_head_in_rounds(student, (x, y), others, **how)
        return student.get_weights()

    def inputs(self, few: Labelled) -> np.ndarray:
        """Inputs to inherit weights on."""
        if not self.unlabelled:
            return self.samples(few).x
        rows = np.random.default_rng(0).permutation(len(self.pool.y))
        return self.samples(self.pool).x[rows[: self.unlabelled]]

    def samples(self, few: Labelled) -> Labelled:
        """Labelled samples as the networks take them."""
        rank = len(self.teacher.input_shape)
        # Of a picture and its mirror image, the picture.
        return few if few.x.ndim == rank else Labelled(few.x[:, 0], few.y)


def unequal(data: Labelled, ratio: float) -> Labelled:
    """Leave out samples, so that the first class has `ratio` times the last."""
    if ratio == 1.0:
        return data
    # Class `c` of `C` keeps the share `ratio ** (-c / (C - 1))`.
    counts = np.bincount(data.y)
    shares = ratio ** -np.linspace(0.0, 1.0, len(counts))
    most = np.maximum(1, np.round(counts * shares)).astype(int)
    rows = [np.flatnonzero(data.y == c)[:k] for c, k in enumerate(most)]
    rows = np.sort(np.concatenate(rows))
    return Labelled(*(x[rows] for x in data))


def frozen_but_for_head(model: keras.Model) -> keras.Model:
    """Freeze all layers but the last one; returns the model."""
    for layer in model.layers[:-1]:
        layer.trainable = False
    return model
