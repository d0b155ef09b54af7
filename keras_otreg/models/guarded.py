"""Training that stops at what is not finite, and loses nothing."""

import contextlib
import functools
import inspect
import math

import keras

from keras_otreg import checks, engine
from keras_otreg.features.walk import walk
from keras_otreg.models import batch
from keras_otreg.models.known import check_teacher
from keras_otreg.models.nonfinite import POLICIES, STOPPED, Stopped
from keras_otreg.models.terms import reported, weighted_sum
from keras_otreg.models.validation import check_apart


class Guarded:
    """A `keras.Model` with an answer to penalties that are not finite.

    TensorFlow's graphs and eager steps end before the first gradient. A step
    that was compiled cannot end: training stops when the host reads of it in
    the logs. `"rollback"` undoes the steps up to there.
    """

    def _guard(
        self, on_nonfinite: str, names: list[str], penalties: int
    ) -> None:
        """To be called by the constructor, with the names of all terms.

        Those of the penalties, of which there are so many, come first.
        """
        self._on_nonfinite = checks.one_of(
            on_nonfinite, POLICIES, "on_nonfinite"
        )
        self._means = [keras.metrics.Mean(name=name) for name in names]
        # Where there are no terms there is nothing to watch.
        kind = POLICIES[on_nonfinite if names else "propagate"]
        self._policy = kind(names, penalties)
        # For Keras to track.
        self._policy_metrics = self._policy.metrics

    @property
    def on_nonfinite(self) -> str:
        """What is done about NaN and infinity, as given to the constructor."""
        return self._on_nonfinite

    def _guarded_sum(self, total, terms, inputs, step, training):
        """The total loss of a step; logs its terms."""
        split = len(self.penalties)
        values = reported(terms[:split], terms[split:])
        logged = zip(self._means, terms, values, strict=False)
        for mean, term, value in logged:
            count = self._policy.counted(term, batch.batch_size(inputs))
            mean.update_state(value, count)
        total = weighted_sum(total, terms, step)
        return self._policy.passed(total, terms, inputs, step, training)

    def get_metrics_result(self):
        """What Keras logs of all metrics, each under a name of its own."""
        logs = []
        for metric in self.metrics:
            result = metric.result()
            several = isinstance(result, dict)
            logs += result.items() if several else [(metric.name, result)]
        checks.unique(
            (name for name, _ in logs),
            "logs",
            "Give a penalty or a metric another `name=`.",
        )
        return dict(logs)

    def train_step(self, *arguments):
        """A step of training that is undone if it has to stop."""
        step = super().train_step
        if not self._policy.stops:
            return step(*arguments)
        if not self._is_compiled:
            self._policy.keep(self._changed_by_forward_pass())
            return step(*arguments)
        if not self._policy.undoes:
            return step(*arguments)
        counts = self.incidents.counts
        return engine.train_step_with_rollback(self, step, arguments, counts)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        """Trains the model; see `keras.Model.fit`."""
        call = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs)
        self._check_class_weight(call.arguments)
        check_teacher(self._frozen, call.arguments.values())
        # Layers may have been unfrozen since.
        check_apart(self.student, self.teacher)
        with self._reporting(call.arguments):
            history = super().fit(*call.args[1:], **call.kwargs)
        checks.some_batches(history.history or not history.epoch)
        return history

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        """Evaluates the model; see `keras.Model.evaluate`."""
        self._report()
        call = inspect.signature(keras.Model.evaluate).bind(
            self, *args, **kwargs
        )
        check_teacher(self._frozen, call.arguments.values())
        with self._reporting(call.arguments):
            logs = super().evaluate(*call.args[1:], **call.kwargs)
        # A loss of 0 is no lack of logs.
        checks.some_batches(logs not in ([], {}))
        return logs

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        """Makes one step; see `keras.Model.train_on_batch`."""
        step = inspect.signature(keras.Model.train_on_batch)
        self._check_class_weight(step.bind(self, *args, **kwargs).arguments)
        with self._reporting():
            return super().train_on_batch(*args, **kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args, **kwargs):
        """Tests on one batch; see `keras.Model.test_on_batch`."""
        with self._reporting():
            return super().test_on_batch(*args, **kwargs)

    @property
    def incidents(self):
        """What was not finite since the last reset, if that is watched."""
        return self._policy.incidents

    @property
    def _is_compiled(self):
        """Whether a step cannot end in its middle."""
        return engine.step_is_compiled(self)

    def _changed_by_forward_pass(self):
        """Variables such as batch statistics: no weights, frozen or not."""
        frozen = {
            id(variable)
            for _, layer in walk(self, into_loops=True)
            if not layer.trainable
            for variable in layer.variables
        }
        return [
            variable
            for variable in self.non_trainable_variables
            if id(variable) not in frozen
            and keras.backend.is_float_dtype(variable.dtype)
            # Others are for all replicas: those look after themselves.
            and variable.aggregation == "none"
        ]

    @contextlib.contextmanager
    def _reporting(self, arguments=None):
        """Says what was not finite, whatever ended a training."""
        if arguments is not None and self._policy.stops:
            self._watch(arguments)
        try:
            yield
        except BaseException as error:
            engine.sync_variables(self)
            self.loss_weights.forget()
            # After any other error the variables may be in no state.
            if isinstance(error, Stopped) or engine.is_graph_error(error):
                self._report(error)
            checks.labels_in_range(error)
            checks.joined_sizes(error)
            # JAX asks for a batch before Keras has a word to say.
            checks.some_batches(not isinstance(error, StopIteration))
            raise
        self._report()

    def _check_class_weight(self, arguments):
        if self._joint is not None:
            checks.no_class_weight(arguments.get("class_weight"))

    def _watch(self, arguments):
        """Adds a callback that reads the logs."""
        if not self._is_compiled:
            return
        callbacks = arguments.get("callbacks")
        watch = _Watch()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            own = keras.tree.flatten(callbacks or [])
            arguments["callbacks"] = [*own, watch]
        elif not any(isinstance(x, _Watch) for x in callbacks.callbacks):
            watch.set_model(self)
            callbacks.callbacks.append(watch)

    def _report(self, cause=None):
        """Raises if something was not finite since the last reset."""
        if not self._policy.stops:
            return
        incident = self.incidents.first(engine.num_replicas(self))
        if incident is None:
            return
        self.incidents.reset_state()
        step = self._step_of(incident)
        raise checks.nonfinite_step(
            *self._found(incident), step, incident.batch, self._keeps
        ) from cause

    @property
    def _keeps(self):
        """Whether nothing of a bad step is left."""
        return self._policy.undoes or not self._is_compiled

    def _step_of(self, incident):
        """Which step of the optimizer was to be the next, or 0 for none."""
        if not incident.step:
            return 0
        made = self.optimizer.iterations
        if not engine.losses_see_step():
            return int(made) + 1 - (0 if self._keeps else incident.steps_since)
        if self._keeps and isinstance(made, keras.Variable):
            # Nothing in a graph makes the counter wait for the gradients.
            made.assign(incident.step - 1)
        return incident.step

    def _found(self, incident):
        """What is not finite, and where."""
        others = {len(self._means): "The inputs are"}
        others[len(self._means) + 1] = "The total loss is"
        if incident.term in others:
            return others[incident.term], []
        name = self._means[incident.term].name
        if incident.term >= len(self.penalties):
            return f"Loss '{name}' is", [f"heads at '{self._joint.task.at}'"]
        penalty = self.penalties[incident.term]
        places = (
            f"the teacher's activations at '{penalty.teacher_at}'",
            f"the student's activations at '{penalty.at}'",
        )
        pairs = zip(places, incident.kinds[:2], strict=True)
        found = [place for place, is_bad in pairs if is_bad]
        alone = f"its value alone, between finite activations at '{penalty.at}'"
        return f"Penalty '{name}' is", found or [alone]


class _Watch(keras.callbacks.Callback):
    """Ends the training once the loss is NaN in the logs."""

    # It may be called in another thread, while the next step runs.
    async_safe = True

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise Stopped(STOPPED)

    on_test_batch_end = on_train_batch_end
