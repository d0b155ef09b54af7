"""Ways of fine-tuning, by the names that the command line calls them."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_otreg.features.taps import activation_specs
from keras_otreg.models import Penalty, TransferModel
from keras_otreg.models.copies import copy_of
from keras_otreg.regularizers import (
    NeuronTransport,
    StartingPoint,
    add_starting_point,
)
from keras_otreg.tuning import (
    TransferHyperModel,
    method_space,
    random_search,
    settled,
    strength_space,
)
from keras_otreg.workflows.heads import head_of
from keras_otreg.workflows.names import TITLES

STARTING_POINTS = {"l2-sp": StartingPoint, "neuron-transport": NeuronTransport}
# What is worth telling of a loss.
SHOWN = ("epsilon", "cost")


class Method:
    """A way of learning from a teacher.

    Args:
        name: One of `TITLES`.
        places: Layers of the student, and those of the teacher.
        weight: Its strength; `None` to have it searched, or the default.
    """

    def __init__(self, name: str, places: Mapping[str, str], weight: Any):
        self.name = name
        self.title = TITLES[name]
        self.places = dict(places)
        self._weight = weight

    def model(
        self,
        student: keras.Model,
        teacher: keras.Model | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> keras.Model:
        """What is to be trained.

        Args:
            student: A network, which is trained in place.
            teacher: `None` for a copy of the student as it is.
            values: What a search has found; defaults if not given.

        Returns:
            The student, or a `TransferModel` around it.
        """
        hp = settled(values)
        student = self._started(hp, student)
        penalties = self._penalties(hp)
        if not penalties:
            return student
        return TransferModel(student, teacher, penalties)

    def check(
        self, student: keras.Model, teacher: keras.Model | None = None
    ) -> None:
        """Finds out before any training whether the method fits.

        Raises:
            ValueError: If a loss does not fit the shapes of its layers.
        """
        self.model(copy_of(student), teacher)

    def settings(self, values: Mapping[str, Any] | None = None) -> dict:
        """The strengths that `model` has, for a reader."""
        hp = settled(values)
        if self.name in STARTING_POINTS:
            return {"strength": strength_space(hp, self._weight)}
        penalty, *_ = self._penalties(hp)
        found = {"weight": penalty.weight, "at": ", ".join(self.places)}
        config = penalty.loss.get_config()
        return {**found, **{k: config[k] for k in SHOWN if k in config}}

    def search(
        self,
        student: keras.Model,
        compile: Callable[[Any], None],
        trials: int,
        seed: int,
        folder: Any,
        **fit: Any,
    ) -> list[dict[str, Any]]:
        """Tries strengths; returns the trials, the best first.

        Args:
            student: A network to start from, which stays as it is.
            compile: Compiles a model.
            trials: How many.
            seed: Of the settings.
            folder: Of the state of the search.
            **fit: For `fit`.
        """
        hypermodel = TransferHyperModel(
            lambda hp: self._started(hp, copy_of(student)),
            penalties=self._penalties,
            compile=lambda hp, model: compile(model),
        )
        rows, _ = random_search(hypermodel, folder, trials, seed=seed, **fit)
        return rows

    def loss(self, values: Mapping[str, Any] | None = None) -> Any:
        """The loss between two layers; `None` if there is none."""
        penalties = self._penalties(settled(values))
        return penalties[0].loss if penalties else None

    def _started(self, hp, student):
        kind = STARTING_POINTS.get(self.name)
        if kind is None:
            return student
        strength = strength_space(hp, self._weight)
        head = [head_of(student).name]
        return add_starting_point(student, strength, head, regularizer=kind)

    def _penalties(self, hp):
        if self.name in STARTING_POINTS:
            return []
        (at, teacher_at), *_ = self.places.items()
        one = method_space(hp, self.name, at, teacher_at, weight=self._weight)
        return Penalty.at_each(
            one.loss,
            self.places,
            weight=one.weight,
            name=self.name,
        )


def default_place(model: Any, method: str, features: str) -> str:
    """Where a method acts if nothing is said: before the head.

    Args:
        model: A built `keras.Model`.
        method: One of `TITLES`.
        features: The layer of neurons that the head reads.

    Returns:
        The layer; for attention, which needs maps, the last one that has.
    """
    if method != "attention":
        return features
    specs = activation_specs(model) or {}
    maps = [
        path
        for path, calls in specs.items()
        if len(calls) == 1 and len(getattr(calls[0], "shape", ())) == 4
    ]
    return maps[-1] if maps else features
