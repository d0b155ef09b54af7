"""The sum of the terms of a loss, and guards against NaN and infinity in it."""

import contextlib
import functools
import math
import re
import threading
from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.taps import walk
from keras_otreg.models.parts import batch_size, with_mask_of
from keras_otreg.models.terms import acts

STOPPED = "A step of keras_otreg.TransferModel is not finite."
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
    """Sums and logs the terms of a loss; lets non-finite values pass."""

    def __init__(self, penalties, weight_penalties, source):
        self.penalties = penalties
        self.weight_penalties = weight_penalties
        self._source = source
        names = [
            *penalties,
            *weight_penalties,
            *(source.names if source else ()),
        ]
        self.means = [keras.metrics.Mean(name=name) for name in names]
        # All that Keras is to track.
        self.metrics = list(self.means)

    def term(self, penalty, *arguments):
        """Return the term of a penalty, given the arguments of its `term`."""
        return penalty.term(*arguments)

    def total(self, loss, terms, weights, inputs, step, training):
        """Return the total loss of a step; log its terms."""
        # Keras divides each loss by the number of TensorFlow replicas, so that
        # their sum is that of one device. That of a penalty is exactly this
        # sum; any other is, as `loss` itself, a mean over replicas.
        samples = batch_size(inputs)
        for mean, term in zip(self.means, terms, strict=False):
            if mean.name in self.penalties:
                value = ops.cast(term.value, "float32")
                value = engine.all_reduce_sum(value)
            else:
                value = engine.unscale_loss(term.value)
            in_use = term.counts is None
            counted = samples if in_use else ops.where(term.counts, samples, 0)
            mean.update_state(value, counted)
            # Those of weight 0 change no bit.
            if acts(term.weight):
                weighted = ops.multiply(weights.at(term, step), term.value)
                loss = ops.add(loss, weighted)
        return loss

    def step(self, model, train_step, arguments):
        """Run a step of training."""
        return train_step(*arguments)

    @contextlib.contextmanager
    def reporting(self, model, arguments=None):
        """Raise after the block, or an error in it, if a step was bad."""
        # Since the last step, all variables may have been set.
        model.loss_weights.forget()
        if arguments is not None:
            self.watch(model, arguments)
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

    def watch(self, model, arguments):
        """Have a training, given its arguments, end after a bad step."""

    def report(self, model, cause=None):
        """Raise if something was not finite since the last reset."""


class Skip(Guard):
    """Leaves a penalty out of steps in which it is not finite; counts them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        sums = {k: keras.metrics.Sum(f"{k}_skipped") for k in self.penalties}
        self._skipped = sums
        self.metrics += sums.values()

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
        counts = ops.logical_and(ops.all(ops.stack(known)), all_finite(value))
        value = ops.where(counts, value + ops.cast(on, value.dtype), 0.0)
        return term._replace(value=value, counts=counts)

    def total(self, loss, terms, *rest):
        """Return the total loss of a step; count the terms left out."""
        for term in terms[: len(self.penalties)]:
            skipped = ops.where(term.counts, 0.0, 1.0)
            self._skipped[term.name].update_state(skipped)
        return super().total(loss, terms, *rest)


class Stopped(FloatingPointError):
    """Ends a step that is not finite, or the training after it."""


class Raise(Guard):
    """Finds what is not finite, and stops the step where that is possible.

    TensorFlow's graphs and eager steps end before the first gradient. After a
    compiled step, training stops when the host reads of it in the logs.
    """

    def __init__(self, *arguments, undoes=False):
        super().__init__(*arguments)
        # Whether a compiled step is undone, for a copy of all variables.
        self.undoes = undoes
        self.incidents = Incidents(len(self.means) + 2)
        self.metrics.append(self.incidents)
        # Each replica runs in a thread of its own.
        self._kept = threading.local()
        # What a forward pass changes, and the variables it was found among.
        self._changed = [], []

    def term(self, penalty, teacher, student, *rest):
        """Return the term; its value is NaN if anything is not finite."""
        term = penalty.term(teacher, student, *rest)
        if not acts(penalty.weight):
            # It is only logged: nothing is lost if the step goes on.
            return term
        seen = teacher, student, term.value
        finite = ops.stack(list(map(all_finite, seen)))
        value = ops.where(ops.all(finite), term.value, float("nan"))
        return term._replace(value=value, finite=finite)

    def total(self, loss, terms, weights, inputs, step, training):
        """Return the total loss, or end the step if a term is not finite."""
        total = super().total(loss, terms, weights, inputs, step, training)
        kept = getattr(self._kept, "values", []) if training else []
        self._kept.values = []

        def undo():
            for variable, value in kept:
                variable.assign(value)

        # For each term, the inputs and the total: three flags of the bad.
        fine = ops.ones((3,), "bool")
        rows = [fine] * len(self.means)
        for k, term in enumerate(terms):
            if term.finite is not None:
                rows[k] = term.finite
            elif acts(term.weight):
                rows[k] = ops.logical_and(fine, all_finite(term.value))
        # A NaN that a ReLU hides still has a NaN for a gradient.
        for x in keras.tree.flatten(inputs):
            if x is not None and keras.backend.is_float_dtype(x.dtype):
                fine = ops.logical_and(fine, all_finite(x))
        rows += [fine, ops.broadcast_to(all_finite(total), (3,))]
        step = ops.cast(step, "float32") + 1.0 if training else 0.0
        kinds = ops.logical_not(ops.stack(rows))
        stop = self.incidents.update_state(kinds, step)
        if (now := engine.concrete_bool(stop)) is None:
            return engine.stop_graph_if(stop, total, STOPPED, undo)
        if now:
            undo()
            raise Stopped(STOPPED)
        return total

    def step(self, model, train_step, arguments):
        """Run a step of training such that it can be taken back."""
        if not engine.step_is_compiled(model):
            among = list(map(id, model.non_trainable_variables))
            if among != self._changed[0]:
                self._changed = among, _changed_by_forward_pass(model)
            changed = self._changed[1]
            copies = map(ops.copy, changed)
            self._kept.values = list(zip(changed, copies, strict=True))
        elif self.undoes:
            known = arguments, self.incidents.counts
            return engine.train_step_with_rollback(model, train_step, *known)
        return train_step(*arguments)

    def watch(self, model, arguments):
        """Add a callback that ends the training."""
        if not engine.step_is_compiled(model):
            return
        callbacks = arguments.get("callbacks")
        watch = _Watch()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            own = keras.tree.flatten(callbacks or [])
            arguments["callbacks"] = [*own, watch]
        elif not any(isinstance(x, _Watch) for x in callbacks.callbacks):
            watch.set_model(model)
            callbacks.callbacks.append(watch)

    def report(self, model, cause=None):
        """Raise if something was not finite since the last reset."""
        seen = self.incidents
        # NumPy warns of a variable that it is to convert by itself.
        counts = ops.convert_to_numpy(ops.copy(seen.counts)) > 0.0
        if not counts.any():
            return
        numbers = map(ops.copy, (seen.step, seen.good, seen.bad))
        step, good, bad = map(int, numbers)
        index = int(counts.any(axis=1).argmax())
        seen.reset_state()
        # Whether nothing of a bad step is left.
        kept = self.undoes or not engine.step_is_compiled(model)
        when, state = f"batch {good // engine.num_replicas(model) + 1}", ""
        if step:
            made = model.optimizer.iterations
            if not engine.losses_see_step:
                step = int(made) + 1 - (0 if kept else bad)
            elif kept and isinstance(made, keras.Variable):
                # Nothing in a graph makes the counter wait for the gradients.
                made.assign(step - 1)
            when = f"step {step} of the optimizer, {when} of the epoch"
            state = KEPT if kept else SPOILT
        what, where = self._found(index, counts[index])
        if where:
            when += f": NaN or infinity in {' and in '.join(where)}"
        message = f"{what} not finite at {when}. {state}{WAYS_OUT}"
        raise FloatingPointError(message) from cause

    def _found(self, index, kinds):
        """Name the non-finite value, and the layers where it may be."""
        if index >= len(self.means):
            others = "The inputs are", "The total loss is"
            return others[index - len(self.means)], []
        name = self.means[index].name
        if name in self.weight_penalties:
            return f"Penalty '{name}' is", ["the student's weights"]
        if name not in self.penalties:
            return f"Loss '{name}' is", [f"heads at '{self._source.task.at}'"]
        penalty, found = self.penalties[name], []
        if kinds[0]:
            found.append(f"the teacher's activations at '{penalty.teacher_at}'")
        if kinds[1]:
            found.append(f"the student's activations at '{penalty.at}'")
        alone = f"its value alone, between finite activations at '{penalty.at}'"
        return f"Penalty '{name}' is", found or [alone]


KINDS: dict[str, Any] = {
    "raise": Raise,
    "rollback": functools.partial(Raise, undoes=True),
    "skip": Skip,
    "propagate": Guard,
}


def guard_of(on_nonfinite: str, *arguments: Any) -> Guard:
    """Make the guard that does so, given the arguments of `Guard`."""
    kind = KINDS[checks.one_of(on_nonfinite, KINDS, "on_nonfinite")]
    guard = kind(*arguments)
    # Where there are no terms there is nothing to watch.
    return guard if guard.means else Guard(*arguments)


class Incidents(keras.metrics.Metric):
    """The first bad step of an epoch.

    Keras resets the variables of a metric, carries them through compiled steps,
    adds them up over replicas, and does not save them.
    """

    def __init__(self, terms):
        super().__init__(name="incidents", dtype="float32")
        zero = keras.initializers.Zeros()
        self.counts = self.add_variable((terms, 3), zero, name="counts")
        # Steps before the first bad one, and since, with it.
        self.good = self.add_variable((), zero, name="batches")
        self.bad = self.add_variable((), zero, name="steps_since")
        # Of the optimizer, from one; 0 without one.
        self.step = self.add_variable((), zero, name="step", aggregation="mean")

    def update_state(self, kinds, step):
        """Record a step, unless there was a bad one; return whether."""
        before = ops.any(self.counts.value > 0.0)
        kinds, step = ops.cast(kinds, "float32"), ops.cast(step, "float32")
        self.counts.assign(ops.where(before, self.counts.value, kinds))
        self.step.assign(ops.where(before, self.step.value, step))
        bad = ops.any(self.counts.value > 0.0)
        self.good.assign_add(ops.where(bad, 0.0, 1.0))
        self.bad.assign_add(ops.where(bad, 1.0, 0.0))
        # In a graph, whoever waits for the answer waits for all of them.
        known = self.step.value + self.good.value >= 0.0
        return ops.logical_and(bad, known)

    def result(self):
        """Return nothing, because it is not logged."""
        return {}


def all_finite(x):
    """Whether all of a tensor is finite."""
    return ops.all(ops.isfinite(x))


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
