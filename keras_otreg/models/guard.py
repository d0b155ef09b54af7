"""The guard of a training against NaN and infinity."""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_otreg import checks, engine
from keras_otreg.features.walk import walk
from keras_otreg.models.parts import batch_size
from keras_otreg.models.policies import POLICIES, STOPPED, Incident, Stopped
from keras_otreg.models.terms import Term, reported, weighted_sum

WAYS_OUT = (
    "Look for NaN in the data, labels out of range and a learning rate that is "
    "too high, or pass `on_nonfinite='skip'` to leave a penalty out of such "
    "steps, or 'propagate' to go on all the same."
)
KEPT = "The weights are as they were before that step. "
SPOILT = (
    "The step was compiled and has changed the weights: load those of an "
    "earlier epoch. With `on_nonfinite='rollback'` it would be undone. "
)
# Of `tf.debugging.Assert`, with the tensors behind its words.
ASSERTION = re.compile(r"assertion failed: \[(Expected .*?)\] (.*)")


class Guard:
    """Sums and logs the terms of a loss, and acts if they are not finite.

    TensorFlow's graphs and eager steps end before the first gradient. After a
    compiled step, training stops when the host reads of it in the logs.
    """

    def __init__(
        self,
        on_nonfinite: str,
        penalties: Mapping[str, Any],
        weight_penalties: Mapping[str, Any],
        source: Any,
    ):
        checks.one_of(on_nonfinite, POLICIES, "on_nonfinite")
        self.penalties = dict(penalties)
        self.weight_penalties = dict(weight_penalties)
        self._source = source
        names = [*penalties, *weight_penalties]
        names += source.names if source else []
        self.means = [keras.metrics.Mean(name=name) for name in names]
        # Where there are no terms there is nothing to watch.
        kind = POLICIES[on_nonfinite if names else "propagate"]
        self.policy: Any = kind(names, len(penalties))
        # What a forward pass changes, and the variables it was found among.
        self._changed: tuple[list[int], list[Any]] = [], []

    def total(
        self,
        task_loss: Any,
        terms: list[Term],
        inputs: Any,
        step: Any,
        training: bool,
    ) -> Any:
        """The total loss of a step; logs its terms."""
        values = reported(terms, len(self.penalties))
        samples = batch_size(inputs)
        logged = zip(self.means, terms, values, strict=False)
        for mean, term, value in logged:
            mean.update_state(value, self.policy.counted(term, samples))
        total = weighted_sum(task_loss, terms, step)
        return self.policy.passed(total, terms, inputs, step, training)

    def step(self, model: keras.Model, train_step: Any, arguments: Any) -> Any:
        """Runs a step of training such that it can be taken back."""
        policy = self.policy
        is_compiled = engine.step_is_compiled(model)
        if policy.undoes and is_compiled:
            counts = policy.incidents.counts
            return engine.train_step_with_rollback(
                model, train_step, arguments, counts
            )
        if policy.stops and not is_compiled:
            among = list(map(id, model.non_trainable_variables))
            if among != self._changed[0]:
                self._changed = among, _changed_by_forward_pass(model)
            policy.keep(self._changed[1])
        return train_step(*arguments)

    @contextlib.contextmanager
    def reporting(
        self, model: Any, arguments: dict[str, Any] | None = None
    ) -> Iterator[None]:
        """Raises after the block, or an error in it, if a step was bad."""
        # Since the last step, all variables may have been set.
        model.loss_weights.forget()
        if arguments is not None:
            self._watch(model, arguments)
        try:
            yield
        except BaseException as error:
            engine.sync_variables(model)
            model.loss_weights.forget()
            # After any other error the variables may be in no state.
            if isinstance(error, Stopped) or engine.is_graph_error(error):
                self.report(model, error)
            # Only the wording depends on the text.
            if found := ASSERTION.search(str(error)):
                raise ValueError(" ".join(found.groups())) from error
            # JAX asks for a batch before Keras has a word to say.
            checks.some_batches(not isinstance(error, StopIteration))
            raise
        self.report(model)

    def _watch(self, model, arguments):
        if not self.policy.stops or not engine.step_is_compiled(model):
            return
        callbacks = arguments.get("callbacks")
        watch = _Watch()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            own = keras.tree.flatten(callbacks or [])
            arguments["callbacks"] = [*own, watch]
        elif not any(isinstance(x, _Watch) for x in callbacks.callbacks):
            watch.set_model(model)
            callbacks.callbacks.append(watch)

    def report(
        self, model: keras.Model, cause: BaseException | None = None
    ) -> None:
        """Raises if something was not finite since the last reset."""
        if not self.policy.stops:
            return
        incidents = self.policy.incidents
        incident = incidents.first(engine.num_replicas(model))
        if incident is None:
            return
        incidents.reset_state()
        # Whether nothing of a bad step is left.
        kept = self.policy.undoes or not engine.step_is_compiled(model)
        step = _step_of(incident, model, kept)
        what, where = self._found(incident)
        when = f"batch {incident.batch}"
        if step:
            when = f"step {step} of the optimizer, {when} of the epoch"
        places = f": NaN or infinity in {' and in '.join(where)}"
        state = (KEPT if kept else SPOILT) if step else ""
        raise FloatingPointError(
            f"{what} not finite at {when}{places if where else ''}. "
            f"{state}{WAYS_OUT}"
        ) from cause

    def _found(self, incident):
        """Name the non-finite value, and the layers where it may be."""
        others = {len(self.means): "The inputs are"}
        others[len(self.means) + 1] = "The total loss is"
        if incident.term in others:
            return others[incident.term], []
        name = self.means[incident.term].name
        if name in self.weight_penalties:
            return f"Penalty '{name}' is", ["the student's weights"]
        if name not in self.penalties:
            return f"Loss '{name}' is", [f"heads at '{self._source.task.at}'"]
        penalty, found = self.penalties[name], []
        if incident.kinds[0]:
            found.append(f"the teacher's activations at '{penalty.teacher_at}'")
        if incident.kinds[1]:
            found.append(f"the student's activations at '{penalty.at}'")
        alone = f"its value alone, between finite activations at '{penalty.at}'"
        return f"Penalty '{name}' is", found or [alone]


def _step_of(incident: Incident, model: Any, kept: bool) -> int:
    """Which step of the optimizer was to be the next, or 0 for none."""
    if not incident.step:
        return 0
    made = model.optimizer.iterations
    if not engine.losses_see_step():
        return int(made) + 1 - (0 if kept else incident.steps_since)
    if kept and isinstance(made, keras.Variable):
        # Nothing in a graph makes the counter wait for the gradients.
        made.assign(incident.step - 1)
    return incident.step


def _changed_by_forward_pass(model):
    """Variables such as batch statistics: no weights, frozen or not."""
    frozen = {
        id(variable)
        for _, layer in walk(model, into_loops=True)
        if not layer.trainable
        for variable in layer.variables
    }
    return [
        variable
        for variable in model.non_trainable_variables
        if id(variable) not in frozen
        and keras.backend.is_float_dtype(variable.dtype)
        # Others are for all replicas: those look after themselves.
        and variable.aggregation == "none"
    ]


class _Watch(keras.callbacks.Callback):
    """Ends the training once the loss is NaN in the logs."""

    # It may be called in another thread, while the next step runs.
    async_safe = True

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise Stopped(STOPPED)

    on_test_batch_end = on_train_batch_end
