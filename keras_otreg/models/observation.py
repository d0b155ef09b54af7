"""Plans and gradients of a training step that changes nothing."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.losses.base import SolvedPlan
from keras_otreg.models.terms import Term, acts
from keras_otreg.ot.numerics import frozen

# The task's loss, beside the names of penalties and of a source task.
TASK = "task_loss"


class Observation(NamedTuple):
    """Plans and gradient shares of a training step that is not taken."""

    plans: dict[str, SolvedPlan]
    shares: dict[str, float]


class Observer:
    """Says, by one graph, what a step of `fit` would do; assigns nothing."""

    def __init__(self, model: Any, data: Any):
        self._model = model
        self._data = keras.utils.unpack_x_y_sample_weight(data)
        model.check_inputs(self._data[0])
        if model.loss is not None and self._data[1] is None:
            raise checks.invalid(
                "a batch (x, y) to look at: the model is compiled with a loss "
                "of labels",
                "inputs alone",
            )
        # What is no tensor, and is found as the graph is made.
        self._plans: dict[str, SolvedPlan] = {}
        self._names: list[str] = []
        self._structure: Any = None

    def __call__(self) -> Observation:
        """Look at a step from where the model is now."""
        model = self._model
        weights = model.loss_weights
        # Some may have been set since the last look.
        weights.update()
        if self._structure != weights.structure:
            self._structure = weights.structure
            self._look = engine.traced(self._looked)
        student = [ops.copy(v) for v in model.student.trainable_variables]
        others = [ops.copy(v) for v in self._others()]
        with engine.no_side_effects():
            found, norms = self._look(
                student,
                others,
                ops.copy(model.optimizer.iterations),
                # In half precision, a gradient that is not scaled may vanish.
                model.optimizer.scale_loss(ops.ones(())),
                self._data,
            )
        plans = {
            name: self._plans[name]._replace(
                P=P, num_iterations=iterations, marginal_error=error
            )
            for name, (P, iterations, error) in found.items()
        }
        found = dict(zip(self._names, map(float, norms), strict=True))
        total = sum(found.values()) or 1.0
        return Observation(plans, {k: x / total for k, x in found.items()})

    def _others(self):
        """All variables but the weights that the student trains."""
        trained = {id(v) for v in self._model.student.trainable_variables}
        return [v for v in self._model.variables if id(v) not in trained]

    def _looked(self, student, others, step, scale, data):
        """The plans, and the norms of the gradients, as tensors alone."""
        x, y, sample_weight = data
        model = self._model

        def values(weights):
            with self._nowhere(weights, others):
                prediction = model(x, training=True)
                total, terms = model.loss_terms(x, y, prediction, sample_weight)
            # The loss of the task is logged as a term too.
            terms = [term for term in terms if term.value is not total]
            terms.insert(0, Term(TASK, total, 1.0))
            self._names = [term.name for term in terms]
            # From what was kept from the last step, not by this one.
            with self._nowhere(weights, others):
                weight = model.loss_weights.at
                scaled = [
                    scale * weight(term, step) * term.value
                    if acts(term.weight)
                    else ops.zeros(())
                    for term in terms
                ]
                return scaled, self._solved(terms)

        gradients, plans = engine.gradients(values, student)
        return plans, [_norm(each) for each in gradients]

    def _solved(self, terms):
        plans = {term.name: term.solved() for term in terms if term.solved}
        self._plans = {name: x for name, x in plans.items() if x is not None}
        return {
            name: frozen((x.P, x.num_iterations, x.marginal_error))
            for name, x in self._plans.items()
        }

    def _nowhere(self, student, others):
        """A scope in which variables have given values, and keep them."""
        variables = [*self._model.student.trainable_variables, *self._others()]
        values = zip(variables, [*student, *others], strict=True)
        return keras.StatelessScope(list(values), collect_losses=True)


def _norm(gradients):
    squares = [ops.sum(ops.square(ops.cast(x, "float32"))) for x in gradients]
    return ops.sqrt(sum(squares)) if squares else ops.zeros(())
