"""Methods of fine-tuning, by their names in commands."""

import math
import random
from collections.abc import Mapping
from typing import Any

import keras

from keras_otreg import checks, tuning
from keras_otreg.features.taps import activation_specs
from keras_otreg.models import Penalty, TransferModel, WeightPenalty
from keras_otreg.workflows.settings import DISTANCES, NONE, TITLES

# Learning rates that a search draws from.
RATES = (3e-5, 3e-3)
# Arguments of a loss that a report lists.
SHOWN = ("epsilon", "cost")


class Method:
    """A method of fine-tuning, by its name in `TITLES`, or without a penalty.

    `places` maps layers of the student to those of the teacher. Without a
    weight it is one of the `values` of a trial, which `draw` returns, or the
    default.
    """

    def __init__(self, name: str, places: Mapping[str, str], weight: Any):
        self.name = checks.one_of(name, (NONE, *TITLES), "method")
        self.title = TITLES.get(name, "plain fine-tuning, best rate")
        self.places = dict(places)
        self._weight = weight

    def model(self, student, teacher=None, values=None):
        """Return the model to train: a `TransferModel`, or the student."""
        if self.name == NONE:
            return student
        if self.name not in DISTANCES:
            return TransferModel(student, teacher, self._penalties(values))
        strength = self._space(tuning.hyperparameters(values))
        how = {"exclude": student.layers[-1].name, "weight": strength}
        penalty = WeightPenalty(DISTANCES[self.name], name=self.name, **how)
        return TransferModel(student, teacher, [penalty])

    def settings(self, values=None):
        """The values that `model` uses, for a report."""
        if self.name == NONE:
            return {}
        if self.name in DISTANCES:
            return {"strength": self._space(tuning.hyperparameters(values))}
        penalties = self._penalties(values)
        at = ", ".join(penalty.at for penalty in penalties)
        config = penalties[0].loss.get_config()
        shown = {k: config[k] for k in SHOWN if k in config}
        return {"weight": penalties[0].weight, "at": at, **shown}

    def draw(self, seed, one_place=False, rate=False):
        """Draw the values of a trial, at one place or at all of them."""
        rng = random.Random(seed)
        values = {}
        if rate or self.name == NONE:
            rates = rng.uniform(*map(math.log, RATES))
            values["learning_rate"] = math.exp(rates)
        if self.name == NONE:
            return values
        if self.name not in DISTANCES:
            places = [*self.places]
            at = [rng.choice(places)] if one_place else places
            values["at"] = " + ".join(at)
        found = tuning.random_values(self._space, rng.randrange(2**31))
        # The place is drawn above.
        found.pop(f"{self.name}/at", None)
        return values | found

    def loss(self, values=None):
        """The loss between two layers; `None` if there is none."""
        if self.name == NONE or self.name in DISTANCES:
            return None
        return self._penalties(values)[0].loss

    def _space(self, hp):
        if self.name in DISTANCES:
            return tuning.strength_space(hp, self._weight)
        at, teacher_at = next(iter(self.places.items()))
        return tuning.method_space(
            hp, self.name, at, teacher_at, weight=self._weight
        )

    def _penalties(self, values):
        one = self._space(tuning.hyperparameters(values))
        at = (values or {}).get("at")
        paths = [*self.places] if at is None else at.split(" + ")
        places = {path: self.places[path] for path in paths}
        how = {"weight": one.weight, "name": self.name}
        return Penalty.at_each(one.loss, places, **how)


def default_place(model: keras.Model, method: str, features: str) -> str:
    """The layer before the head; for attention the last one that has maps."""
    if method != "attention":
        return features
    maps = [
        path
        for path, calls in (activation_specs(model) or {}).items()
        if len(calls) == 1 and len(getattr(calls[0], "shape", ())) == 4
    ]
    return maps[-1] if maps else features
