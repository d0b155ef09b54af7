"""Keeps which term of a loss was not finite, and when."""

from typing import Any, NamedTuple

import keras
from keras import ops


class Incident(NamedTuple):
    """The first step since the last reset in which a term was not finite.

    Attributes:
        term: Which term, the first one if there are several.
        kinds: Whether the teacher's activations, the student's and the value
            were not finite.
        step: Of the optimizer, from one; 0 without one.
        batch: Since the last reset, from one.
        steps_since: How many steps came since, this one included.
    """

    term: int
    kinds: tuple[bool, ...]
    step: int
    batch: int
    steps_since: int


class Incidents(keras.metrics.Metric):
    """The first incident, as long as the metrics of an epoch.

    It is a metric for the variables of one: Keras resets them, carries them
    through compiled steps, adds them up over replicas, and does not save them.

    Args:
        terms: How many terms are watched.
    """

    def __init__(self, terms: int):
        super().__init__(name="incidents", dtype="float32")
        zeros = keras.initializers.Zeros()
        self.counts = self.add_variable((terms, 3), zeros, name="counts")
        self.batches = self.add_variable((), zeros, name="batches")
        self.steps_since = self.add_variable((), zeros, name="steps_since")
        self.step = self.add_variable(
            (), zeros, name="step", aggregation="mean"
        )

    def update_state(self, kinds: Any, step: Any) -> Any:
        """Takes up a step, unless there has been an incident.

        Args:
            kinds: Which kinds were met, as booleans of shape `(terms, 3)`.
            step: Of the optimizer, from one.

        Returns:
            Whether there has been an incident, this step included.
        """
        before = self.happened()
        kinds = ops.cast(kinds, "float32")
        counts = ops.where(before, self.counts.value, kinds)
        self.counts.assign(counts)
        step = ops.cast(step, "float32")
        self.step.assign(ops.where(before, self.step.value, step))
        bad = self.happened()
        self.batches.assign_add(ops.where(bad, 0.0, 1.0))
        self.steps_since.assign_add(ops.where(bad, 1.0, 0.0))
        # In a graph, whoever waits for the answer waits for all of them.
        known = self.step.value + self.batches.value >= 0.0
        return ops.logical_and(bad, known)

    def happened(self) -> Any:
        """Whether there has been an incident."""
        return ops.any(self.counts.value > 0.0)

    def result(self) -> dict[str, Any]:
        """Nothing: it is not for the logs."""
        return {}

    def first(self, replicas: int) -> Incident | None:
        """The incident, if there has been one.

        Args:
            replicas: Over how many devices the batches are added up.
        """
        counts = _numpy(self.counts) > 0.0
        if not counts.any():
            return None
        index = int(counts.any(axis=1).argmax())
        held = self.step, self.batches, self.steps_since
        step, batches, since = (int(_numpy(x)) for x in held)
        kinds = tuple(map(bool, counts[index]))
        return Incident(index, kinds, step, batches // replicas + 1, since)


def _numpy(variable):
    # NumPy warns of a variable that it is to convert by itself.
    return ops.convert_to_numpy(ops.copy(variable))
