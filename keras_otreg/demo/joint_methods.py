"""The ways of learning with a source of other classes, as in the paper."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import class_costs
from keras_otreg.data import Labelled, paired
from keras_otreg.demo import networks
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.training import Trainee, trainee
from keras_otreg.losses import ClassTransport
from keras_otreg.models import SourceTask, TransferModel

SOURCE_BATCH = 64
ALONE, SHOWN = "target alone", "JTLN, MK-MMD"


@dataclasses.dataclass(frozen=True)
class JointMethod:
    """A way of learning the target beside, after or without the source.

    Attributes:
        name: What is done.
        pretrained: Whether to start from the source network.
        cost: Returns costs between the classes, given the few target samples
            and a seed; `None` for no transport.
        joint: Whether source samples train along.
    """

    name: str
    pretrained: bool = False
    joint: bool = False
    cost: Callable[[Labelled, int], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Joint:
    """Builds the learners of one comparison.

    Attributes:
        source_network: Trained on the source, with a head of its classes.
        source: Labelled source samples.
        settings: Sizes and strengths.
    """

    source_network: keras.Model
    source: Labelled
    settings: Settings

    def methods(self) -> list[JointMethod]:
        """The rows of the paper's table, and a control."""
        from_features = self.cost_from_features
        mkmmd = functools.partial(from_features, class_costs.mkmmd)
        transport = functools.partial(from_features, class_costs.transport)
        return [
            JointMethod(ALONE),
            JointMethod("source, then target", pretrained=True),
            JointMethod("joint, no transport", joint=True),
            JointMethod(SHOWN, joint=True, cost=mkmmd),
            JointMethod("JTLN, transport", joint=True, cost=transport),
            JointMethod("JTLN, random", joint=True, cost=self.random_cost),
        ]

    def learner(
        self, method: JointMethod, few: Labelled, seed: int
    ) -> tuple[Trainee, Any]:
        """A compiled model for one seed, and the source head's loss or `None`.

        Args:
            method: What is to be done.
            few: Labelled target samples.
            seed: Seed of the costs.

        Returns:
            The `Trainee`, and the `ClassTransport` that it trains with.
        """
        student = networks.wide(self.settings)
        if method.pretrained:
            weights = self.source_network.get_weights()[:-2]
            student.set_weights([*weights, *student.get_weights()[-2:]])
        if not method.joint:
            return trainee(student, student, self.settings), None
        transport = None
        if method.cost is not None:
            transport = ClassTransport(
                class_costs.normalise(method.cost(few, seed))
            )
        classes = self.source_network.output_shape[-1]
        task = SourceTask(
            keras.layers.Dense(classes, activation="softmax"),
            at="features",
            loss="sparse_categorical_crossentropy",
            transport=transport,
        )
        model = TransferModel(student, source_task=task)
        return trainee(model, student, self.settings), transport

    def batches(
        self, method: JointMethod, few: Labelled, seed: int
    ) -> tf.data.Dataset | None:
        """Pairs for a joint method; `None` for the others."""
        if not method.joint:
            return None
        pairs = paired(
            tuple(few),
            tuple(self.source),
            batch_size=len(few.y),
            source_batch_size=SOURCE_BATCH,
            seed=seed,
        )
        return pairs.repeat()

    def cost_from_features(
        self, cost: Callable[..., np.ndarray], few: Labelled, seed: int
    ) -> np.ndarray:
        """Costs between classes, by the source network's features."""
        every_third = Labelled(self.source.x[::3], self.source.y[::3])
        found = [
            class_costs.extract(
                self.source_network, "features", _batched(data), verbose=0
            )
            for data in (every_third, few)
        ]
        return cost(*found[0], *found[1])

    def random_cost(self, few: Labelled, seed: int) -> np.ndarray:
        """Costs that know nothing."""
        classes = self.source_network.output_shape[-1]
        return class_costs.random(classes, len(np.unique(few.y)), seed)


def _batched(data):
    return tf.data.Dataset.from_tensor_slices(tuple(data)).batch(256)
