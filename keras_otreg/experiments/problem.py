"""What all methods of one task share: data, teacher, starting weights."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.data import Labelled, few_shot
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.training import Outcome, Trainee, train
from keras_otreg.models import TransferModel

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
        test: Target data that is looked at once.
        places: For each of `PLACES`, the pairs of layers there.
        settings: Number of steps, learning rate and labels of a class.
        validation: Target data that strengths are chosen by; what was not
            drawn of the pool, if not given.
        batches: Makes the batches of a training of the few labelled samples,
            the others of the pool, a seed, and whether the method can use
            more than those; `None` for all samples in each step.
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

    def start(self) -> list[np.ndarray]:
        """Weights to start from, for the seed set before."""
        new = self.student().get_weights()
        if not self.pretrained:
            return new
        head = len(new) - 2
        return [*self.teacher.get_weights()[:head], *new[head:]]

    def samples(self, few: Labelled) -> Labelled:
        """Labelled samples as the networks take them."""
        rank = len(self.test.x.shape)
        # Of a picture and its mirror image, the picture.
        return few if few.x.ndim == rank else Labelled(few.x[:, 0], few.y)


def frozen_but_for_head(model: keras.Model) -> keras.Model:
    """Lets only the last layer learn; returns the model."""
    for layer in model.layers[:-1]:
        layer.trainable = False
    return model


class Trainings:
    """Trains on one problem, with a new learner only where it takes one.

    Args:
        problem: What is learnt.
        warm: Whether a new learner is trained a little first, so that its
            compilation is not counted as training.
    """

    def __init__(self, problem: Problem, warm: bool = False):
        self.problem = problem
        self._warm = warm
        self._latest: tuple[Any, Trainee] | None = None

    def train(
        self,
        name: Any,
        make: Callable[[Labelled], Trainee],
        seed: int,
        data: Labelled | None,
    ) -> tuple[Trainee, Outcome]:
        """Trains on a draw of labels, from weights of the same seed.

        Args:
            name: What the learner is but for the seed: the latest one is
                taken again if it is the same.
            make: Makes it, given the labelled samples.
            seed: Of the draw, of new weights and of batches.
            data: What to measure the accuracy on; what was not drawn of the
                pool, if not given.

        Returns:
            The learner as it ended, and the `Outcome`.
        """
        problem = self.problem
        settings = problem.settings
        few, others = few_shot(*problem.pool, settings.per_class, seed)
        is_new = self._latest is None or self._latest[0] != name
        if is_new:
            # Two of them need not fit into memory.
            self._latest = None
            self._latest = name, make(few)
        learner = self._latest[1]
        keras.utils.set_random_seed(seed)
        start = problem.start()
        usable = isinstance(learner.model, TransferModel)
        batches = problem.batches(few, others, seed, usable)
        if is_new and self._warm:
            short = dataclasses.replace(
                settings, points=1, steps=settings.steps_per_point
            )
            train(learner, start, few, few, short, batches)
        data = others if data is None else data
        return learner, train(learner, start, few, data, settings, batches)
