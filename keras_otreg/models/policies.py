"""Policies for steps that are not finite, and the record of such steps."""

import threading
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import engine
from keras_otreg.features.masks import with_mask_of
from keras_otreg.models.terms import Term, acts

STOPPED = "A step of keras_otreg.TransferModel is not finite."


class Incident(NamedTuple):
    """The first step since the last reset in which a term was not finite."""

    term: int
    # Of the teacher's activations, the student's and the value.
    kinds: tuple[bool, ...]
    # Of the optimizer, from one; 0 without one.
    step: int
    # Since the last reset, from one.
    batch: int
    # How many steps came since, this one included.
    steps_since: int


class Incidents(keras.metrics.Metric):
    """The first incident, as long as the metrics of an epoch.

    It is a metric for the variables of one: Keras resets them, carries them
    through compiled steps, adds them up over replicas, and does not save them.
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
        """Record a step, unless there has been an incident; return whether."""
        before = ops.any(self.counts.value > 0.0)
        kinds, step = ops.cast(kinds, "float32"), ops.cast(step, "float32")
        self.counts.assign(ops.where(before, self.counts.value, kinds))
        self.step.assign(ops.where(before, self.step.value, step))
        bad = ops.any(self.counts.value > 0.0)
        self.batches.assign_add(ops.where(bad, 0.0, 1.0))
        self.steps_since.assign_add(ops.where(bad, 1.0, 0.0))
        # In a graph, whoever waits for the answer waits for all of them.
        known = self.step.value + self.batches.value >= 0.0
        return ops.logical_and(bad, known)

    def result(self) -> dict[str, Any]:
        """Return nothing, because it is not logged."""
        return {}

    def first(self, replicas: int) -> Incident | None:
        """Return the incident, if there has been one."""

        def numpy(variable):
            # NumPy warns of a variable that it is to convert by itself.
            return ops.convert_to_numpy(ops.copy(variable))

        counts = numpy(self.counts) > 0.0
        if not counts.any():
            return None
        index = int(counts.any(axis=1).argmax())
        held = self.step, self.batches, self.steps_since
        step, batches, since = (int(numpy(x)) for x in held)
        kinds = tuple(map(bool, counts[index]))
        return Incident(index, kinds, step, batches // replicas + 1, since)


class Propagate:
    """Lets non-finite values pass."""

    # Whether a step may have to stop.
    stops = False
    # Whether a compiled step keeps all variables, to bring them back.
    undoes = False

    def __init__(self, names: list[str], penalties: int):
        self.metrics: list[keras.metrics.Metric] = []

    def term(self, penalty: Any, teacher: Any, student: Any, *rest) -> Term:
        """Return the term of a penalty; its arguments are those of `term`."""
        return penalty.term(teacher, student, *rest)

    def counted(self, term: Term, samples: Any) -> Any:
        """Return how many samples the logged value of a term counts for."""
        return samples

    def passed(
        self,
        total: Any,
        terms: list[Term],
        inputs: Any,
        step: Any,
        training: bool,
    ) -> Any:
        """Return the total loss of a step, if the step may go on."""
        return total


class Skip(Propagate):
    """Leaves a penalty out of a step in which it is not finite.

    A metric counts these steps.
    """

    def __init__(self, names, penalties):
        names = names[:penalties]
        self.metrics = [keras.metrics.Sum(f"{name}_skipped") for name in names]
        self._counts = dict(zip(names, self.metrics, strict=True))

    def term(self, penalty, teacher, student, weights, adapter, memory):
        """Return the term, or zero, which has no gradient then."""
        known = [all_finite(x) for x in (teacher, student)]
        if adapter is not None:
            # Its own gradient is a product with what it was given.
            finite = ops.where(known[1], student, 0.0)
            student = adapter(with_mask_of(student, finite))
        passed, on = engine.gate_gradient(student, ops.zeros(()))
        student = with_mask_of(student, passed)
        term = penalty.term(teacher, student, weights, None, memory)
        value = term.value
        finite = ops.logical_and(ops.all(ops.stack(known)), all_finite(value))
        value = ops.where(finite, value + ops.cast(on, value.dtype), 0.0)
        return term._replace(value=value, finite=finite)

    def counted(self, term, samples):
        """Return 0 in a step that the term was left out of; count the step."""
        if term.finite is None:
            return samples
        self._counts[term.name].update_state(ops.where(term.finite, 0.0, 1.0))
        return ops.where(term.finite, ops.cast(samples, "float32"), 0.0)


class Stopped(FloatingPointError):
    """Ends a step that is not finite, or the training after it."""


class Raise(Propagate):
    """Finds what is not finite, and stops the step where that is possible.

    Where it is not, in a step that XLA compiled, the logs show NaN.
    """

    stops = True

    def __init__(self, names, penalties):
        self._terms = len(names)
        self.incidents = Incidents(self._terms + 2)
        self.metrics = [self.incidents]
        # Each replica runs in a thread of its own.
        self._kept = threading.local()

    def keep(self, variables: list[Any]) -> None:
        """Keep values that a forward pass changes, to bring them back."""
        self._kept.values = [(x, ops.copy(x)) for x in variables]

    def term(self, penalty, teacher, student, *rest):
        """Return the term; its value is NaN if anything is not finite."""
        term = penalty.term(teacher, student, *rest)
        if not acts(penalty.weight):
            # It is only logged: nothing is lost if the step goes on.
            return term
        known = [all_finite(x) for x in (teacher, student)]
        finite = ops.stack([*known, all_finite(term.value)])
        value = ops.where(ops.all(finite), term.value, float("nan"))
        return term._replace(value=value, finite=finite)

    def passed(self, total, terms, inputs, step, training):
        """Return the total loss, or end the step if a term is not finite."""
        kept = getattr(self._kept, "values", []) if training else []
        self._kept.values = []

        def undo():
            for variable, value in kept:
                variable.assign(value)

        step = ops.cast(step, "float32") + 1.0 if training else 0.0
        kinds = self._kinds(terms, inputs, total)
        stop = self.incidents.update_state(kinds, step)
        if (now := engine.concrete_bool(stop)) is None:
            return engine.stop_graph_if(stop, total, STOPPED, undo)
        if now:
            undo()
            raise Stopped(STOPPED)
        return total

    def _kinds(self, terms, inputs, total):
        """Flags of non-finite values: `(terms, inputs and total, 3)`."""
        fine = ops.ones((3,), "bool")
        rows = []
        for term in terms:
            if term.finite is not None:
                rows.append(term.finite)
            elif acts(term.weight):
                rows.append(ops.logical_and(fine, all_finite(term.value)))
            else:
                rows.append(fine)
        rows += [fine] * (self._terms - len(rows))
        # A NaN that a ReLU hides still has a NaN for a gradient.
        for x in keras.tree.flatten(inputs):
            if x is not None and keras.backend.is_float_dtype(x.dtype):
                fine = ops.logical_and(fine, all_finite(x))
        rows += [fine, ops.broadcast_to(all_finite(total), (3,))]
        return ops.logical_not(ops.stack(rows))


class Rollback(Raise):
    """Undoes a compiled step as well; it costs a copy of all variables."""

    undoes = True


POLICIES = {
    "raise": Raise,
    "rollback": Rollback,
    "skip": Skip,
    "propagate": Propagate,
}


def all_finite(x: Any) -> Any:
    """Whether all of a tensor is finite."""
    return ops.all(ops.isfinite(x))
