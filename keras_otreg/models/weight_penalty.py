"""A penalty between the weights of student and teacher."""

import fnmatch
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.walk import children, walk
from keras_otreg.models.penalty import Weighted
from keras_otreg.models.terms import Term
from keras_otreg.ot.numerics import at_least_float32, frozen
from keras_otreg.regularizers.starting_points import (
    axis_of_neurons,
    excluded_layers,
    half_squared_distance,
    neuron_transport,
)
from keras_otreg.saving import export

# Distances of weights, each with its name in the logs.
DISTANCES = {"l2": "l2_sp", "transport": "neuron_transport"}


@export
class WeightPenalty(Weighted):
    """Keeps weights of the student close to those of the teacher.

    The starts are read from the frozen teacher of the `TransferModel`. Weights
    belong together whose layers have the same path, and which have the same
    name and shape in both networks. Others, such as those of a new head, stay
    free, and so do frozen ones for as long as they are frozen.

    Args:
        distance: `"l2"` for half the sum of squared differences (L2-SP), or
            `"transport"` for the same between the neurons of each layer in
            whatever order, see `keras_otreg.regularizers.NeuronTransport`.
        at: Path of a layer of the student that is pulled, with all inside it,
            or several; `*` and `?` stand for any characters, as in
            `"backbone/block*"`. If not given, all layers but the last one that
            has weights: the head, whose start means nothing.
        exclude: Path of a layer that is not pulled, with all inside it, or
            several.
        epsilon: Entropic strength of `"transport"`, in units of the mean cost.
        weight: Factor of the distance, as of a `Penalty`. The paper on L2-SP
            uses 0.1.
        name: Under which the distance, without the weight, is logged;
            `"l2_sp"` or `"neuron_transport"` if not given.

    Raises:
        ValueError: If an argument is not valid; by the `TransferModel`, if a
            path is unknown or no weight has a partner.

    Example:
        ```python
        penalty = otreg.WeightPenalty(weight=0.1)
        model = otreg.TransferModel(student, penalties=[penalty])
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018).
    """

    def __init__(
        self,
        distance: str = "l2",
        at: str | Sequence[str] | None = None,
        *,
        exclude: str | Sequence[str] | None = None,
        epsilon: float = 0.05,
        weight: Any = 0.1,
        name: str | None = None,
    ):
        self.distance = checks.one_of(distance, DISTANCES, "distance")
        self.at, self.exclude = (
            None if paths is None else checks.some_layers(paths, argument)
            for paths, argument in ((at, "at"), (exclude, "exclude"))
        )
        self.epsilon = checks.positive(epsilon, "epsilon")
        self.weight = weight
        name = name or DISTANCES[distance]
        self.name = checks.instance_of(name, str, "name", "a string")

    def pairs(
        self, student: keras.Model, teacher: keras.Model
    ) -> list[tuple[Any, Any, int]]:
        """Weights of both networks that belong together.

        Each is the teacher's weight, the student's, and which axis of them
        counts neurons.
        """
        theirs = dict(walk(teacher, into_loops=True))
        found = {}
        for path, layer in self._layers(student).items():
            starts = _own_weights(theirs[path]) if path in theirs else {}
            for key, weight in _own_weights(layer).items():
                start: Any = starts.get(key)
                fits = start is not None and start.shape == weight.shape
                # Whole numbers are what quantisation has made of weights.
                if fits and keras.backend.is_float_dtype(start.dtype):
                    axis = axis_of_neurons(layer, weight)
                    found[id(weight)] = start, weight, axis
        return list(found.values())

    def check(self, student: keras.Model, teacher: keras.Model) -> None:
        """Raise unless some weights of two networks belong together."""
        if not self.pairs(student, teacher):
            raise checks.invalid(
                "weights that a student and its teacher both have, in layers "
                "of the same path, with the same name and shape",
                f"student '{student.name}' and teacher '{teacher.name}' "
                "without any",
                "Choose other layers by `at`, or a `Penalty` between "
                "activations",
            )

    def _layers(self, student):
        layers = dict(walk(student, into_loops=True))
        exclude = self.exclude or (None if self.at is None else [])
        excluded = excluded_layers(student, layers, exclude)
        for pattern in self.at or ():
            if not any(_matches(path, pattern) for path in layers):
                checks.known_layer(pattern, layers, student.name)
        return {
            path: layer
            for path, layer in layers.items()
            if id(layer) not in excluded
            and any(_matches(path, x) for x in self.at or ["*"])
        }

    def term(self, pairs: Sequence[tuple[Any, Any, int]]) -> Term:
        """Term that the penalty adds to the loss of each replica.

        It takes what the method `pairs` returns.
        """
        values = [self._between(*x) for x in pairs if x[1].trainable]
        value = sum(values) if values else ops.zeros(())
        return Term(self.name, engine.scale_loss(value), self.weight)

    def _between(self, start, weight, axis):
        start = frozen(at_least_float32(start))
        weight = at_least_float32(weight)
        if self.distance == "l2":
            return half_squared_distance(start, weight)
        return neuron_transport(start, weight, self.epsilon, axis)


def _matches(path, pattern):
    """Whether a pattern means a layer, or one around it."""
    either = pattern, f"{pattern}/*"
    return any(fnmatch.fnmatchcase(path, x) for x in either)


def _own_weights(layer):
    """Weights in a layer itself, by name and how many before have the same."""
    inner = {id(x) for child in children(layer) for x in child.variables}
    found: dict[tuple[str, int], Any] = {}
    for weight in layer.weights:
        if id(weight) not in inner:
            count = sum(name == weight.name for name, _ in found)
            found[weight.name, count] = weight
    return found
