"""Data, teacher and starting weights, which all methods of a task share."""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.data import Labelled
from keras_otreg.experiments.settings import Settings

# A student's layer and the teacher's layer that it is compared with.
Pair = tuple[str, str]
HEAD = "head"


@dataclasses.dataclass(frozen=True)
class Problem:
    """A transfer, ready to be learnt.

    Attributes:
        teacher: The pretrained network.
        student: Makes a network to train, whose last layer is `HEAD`.
        pretrained: Whether the student starts with the teacher's weights.
        pool: Target data that the few labels are drawn from.
        test: Target data for the reported accuracies.
        places: For each of `methods.PLACES`, the pairs of layers there.
        settings: Number of steps, learning rate and labels of a class.
        validation: Target data that strengths are chosen by; the rest of the
            pool if not given.
        batches: Makes the batches of a training from the few labelled
            samples, the others of the pool, a seed, and whether the method
            can use more than those; `None` for all samples in each step.
        solved: Whether the head starts as solved on the few labelled samples.
        unlabelled: How many samples of the pool weights are inherited on;
            the labelled ones alone if 0.
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

    def start(self) -> list[np.ndarray]:
        """Weights to start from, for the seed set before."""
        new = self.student().get_weights()
        if not self.pretrained:
            return new
        head = len(new) - 2
        return [*self.teacher.get_weights()[:head], *new[head:]]

    def inputs(self, few: Labelled) -> np.ndarray:
        """Inputs to inherit weights on."""
        if not self.unlabelled:
            return self.samples(few).x
        rows = np.random.default_rng(0).permutation(len(self.pool.y))
        return self.samples(
            Labelled(*(x[rows[: self.unlabelled]] for x in self.pool))
        ).x

    def samples(self, few: Labelled) -> Labelled:
        """Labelled samples as the networks take them."""
        rank = len(self.test.x.shape)
        # Of a picture and its mirror image, the picture.
        return few if few.x.ndim == rank else Labelled(few.x[:, 0], few.y)


def frozen_but_for_head(model: keras.Model) -> keras.Model:
    """Freeze all layers but the last one; returns the model."""
    for layer in model.layers[:-1]:
        layer.trainable = False
    return model
