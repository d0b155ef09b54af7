"""The wrapper that trains a student under penalties towards a teacher."""

import functools
import inspect
from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.taps import Taps
from keras_otreg.models.guard import guard_of
from keras_otreg.models.parts import (
    BatchReader,
    LastForward,
    input_shapes,
    joined,
    num_inputs,
)
from keras_otreg.models.penalty import Penalty, by_name, check_apart, companions
from keras_otreg.models.saved_model import SavedModel
from keras_otreg.models.source_task import SourceModel
from keras_otreg.models.source_terms import SourceTerms
from keras_otreg.models.teacher import Teacher, frozen_copy
from keras_otreg.models.terms import LossWeights, StepFunctions
from keras_otreg.saving import export

# Keras documents these methods elsewhere: the docstrings are ours.
_signature_of = functools.partial(
    functools.wraps, assigned=("__module__", "__name__", "__qualname__")
)


@export
class TransferModel(SavedModel):
    """Trains a student while its representations stay close to a teacher's.

    It is a `keras.Model` with the inputs and outputs of the student: `compile`,
    `fit`, `evaluate` and `predict` are Keras's own. Each step runs the student
    and the teacher once, the latter in inference mode, and not on what
    `keras_otreg.data.with_teacher` returns. The logs hold each penalty by its
    name, without its weight, beside `loss`, the total that is optimised.

    Args:
        student: A built `keras.Model`. It is trained in place, and stays a
            plain model.
        teacher: A built `keras.Model` that takes the same inputs; its outputs
            do not matter. If not given, a frozen copy of the student as it is
            now. It is read, and never changed.
        penalties: `Penalty` and `WeightPenalty` objects.
        source_task: A `SourceTask` that trains beside the target task. `fit`
            then takes pairs, see `keras_otreg.data.paired`. A
            `SourceTask.frozen` needs no source data, and acts as a penalty.
        on_nonfinite: What to do when a penalty, or the activations that it is
            given, hold NaN or infinity. `"raise"` stops, before anything of
            that step is kept unless it was compiled; `"rollback"` undoes a
            compiled step too; `"skip"` leaves the penalty out of that step
            and logs how often; `"propagate"` goes on.
        name: Name of the model.

    Raises:
        ValueError: If a model is not built, a layer is unknown, the teacher
            cannot take the student's inputs, two penalties share a name, or
            the source task does not fit the student.

    Example:
        ```python
        loss = otreg.losses.RepresentationTransport()
        penalty = otreg.Penalty(loss, at="avg_pool")
        model = otreg.TransferModel(student, penalties=[penalty])
        model.compile("adam", loss="sparse_categorical_crossentropy")
        model.fit(train, validation_data=validation)
        model.student.save("fine_tuned.keras")
        ```
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model | None = None,
        penalties: Any = (),
        *,
        source_task: Any = None,
        on_nonfinite: str = "raise",
        name: str = "transfer_model",
    ):
        checks.built_model(student, "student")
        # The student casts its own inputs; its policy decides loss scaling.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student = student
        named = by_name(penalties)
        self.penalties = list(named.values())
        if is_copy := teacher is None and bool(self.penalties):
            teacher = frozen_copy(student)
        of_layers = {k: x for k, x in named.items() if isinstance(x, Penalty)}
        of_weights = {k: x for k, x in named.items() if k not in of_layers}
        paths = sorted({penalty.teacher_at for penalty in of_layers.values()})
        self.frozen = Teacher(teacher, paths, is_copy, bool(of_weights))
        # Keras asks only the layers that it tracks.
        self.supports_jit = self.frozen.supports_jit
        # What Keras is to train or to save, outside of the student.
        self.adapters, self.memories = companions(student, teacher, of_layers)
        for penalty in of_weights.values():
            penalty.check(student, teacher)
        self.source_task = source_task
        source = self._source = None
        if source_task is not None:
            source = self._source = SourceTerms(source_task, student)
            # What Keras is to train, to reset and to save.
            self.source_head = source_task.head
            self._source_metrics = source.metrics if source.acts else []
        self._guard = guard_of(on_nonfinite, of_layers, of_weights, source)
        self._on_nonfinite = on_nonfinite
        # For Keras to track.
        self._guard_metrics = self._guard.metrics
        owners = {k: (x, "weight") for k, x in named.items()}
        owners |= source.weights if source else {}
        self.loss_weights = LossWeights(owners, self.variable_dtype)
        inputs = num_inputs(student) or (1 if source else 0)
        self._reader = BatchReader(inputs, source)
        self._last = LastForward()
        self._steps = StepFunctions(self.loss_weights, named, self.adapters)
        self.find_layers()
        # With its shapes on record, Keras can export the model.
        self.build(input_shapes(student))

    @property
    def source_model(self) -> keras.Model | None:
        """The student's shared layers under the source head."""
        task = self.source_task
        return task and SourceModel(self.student, task.at, task.head)

    @property
    def output_names(self) -> list[str]:
        """Names of the student's outputs, for losses that are given by them."""
        return self.student.output_names

    @property
    def on_nonfinite(self) -> str:
        """Policy for NaN and infinity, as given to the constructor."""
        return self._on_nonfinite

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the student is built."""
        self.built = True

    def find_layers(self) -> None:
        """Find what penalties read in both networks, after a change too."""
        paths = [penalty.at for penalty in self._guard.penalties.values()]
        if self._source is not None:
            paths.append(self._source.task.at)
        self._taps = Taps(self.student, paths)
        self.frozen.forget()
        self.frozen.weight_pairs = {
            name: penalty.pairs(self.student, self.teacher)
            for name, penalty in self._guard.weight_penalties.items()
        }

    def check_inputs(self, x: Any) -> None:
        """Raise if these are not the inputs of a step of training."""
        self._reader.read(x, training=True)

    def call(self, inputs, training=None):
        """Return the student's prediction for the labelled target inputs."""
        parts = self._reader.read(inputs, bool(training))
        inputs = joined(parts.target, parts.unlabelled, parts.source)
        outputs, activations = self._taps(inputs, training)
        prediction = parts.target_rows(outputs, labelled=True)
        parts = parts._replace(outputs=outputs, activations=activations)
        self._last.kept = keras.tree.flatten(prediction), parts
        return prediction

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The task's loss, the student's own losses, and all other terms."""
        total, terms = self.loss_terms(x, y, y_pred, sample_weight, training)
        has_step = self.optimizer is not None and engine.losses_see_step
        step = self.optimizer.iterations if has_step else 0
        weights = self.loss_weights
        return self._guard.total(total, terms, weights, x, step, training)

    def loss_terms(self, x, y, y_pred, sample_weight=None, training=True):
        """The loss of the task, with the student's own, and all other terms."""
        parts = self._last.of(y_pred)
        if parts is None:
            # Of another prediction the activations are not at hand.
            self.call(x, training)
            _, parts = self._last.kept
        (y, weights), source = parts.labels(y, sample_weight)
        total = ops.zeros(())
        if self.loss is not None or self.losses:
            total = super().compute_loss(x, y, y_pred, weights, training)
        weights = parts.penalty_weights(weights)
        known = self.frozen.activations(parts)
        terms = []
        for name, penalty in self._guard.penalties.items():
            rows = parts.target_rows(parts.activations[penalty.at])
            both = known[penalty.teacher_at], rows
            memory = self.memories.get(name) if training else None
            own = self.adapters.get(name), memory
            term = self._guard.term(penalty, *both, weights, *own)
            terms.append(term._replace(name=name))
        for name, penalty in self._guard.weight_penalties.items():
            term = penalty.term(self.frozen.weight_pairs[name])
            terms.append(term._replace(name=name))
        if self._source is not None:
            terms += self._source.terms(parts, source, weights, training, total)
        return total, terms

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The metrics of the target task, and all that was logged."""
        parts = self._last.of(y_pred) or self._reader.read(x)
        # Free its tensors.
        self._last.kept = (), None
        (y, weights), _ = parts.labels(y, sample_weight)
        logs = super().compute_metrics(x, y, y_pred, weights)
        if self._source and self._source.has_data and not parts.paired:
            # Without source data there is nothing to say of the source task.
            joint = {
                *self._source.names,
                *(x.name for x in self._source_metrics),
            }
            logs = {name: logs[name] for name in logs if name not in joint}
        return engine.reducible_logs(logs)

    def get_metrics_result(self):
        """Values of all metrics for the logs of Keras; names must differ."""
        logs = []
        for metric in self.metrics:
            result = metric.result()
            several = isinstance(result, dict)
            logs += result.items() if several else [(metric.name, result)]
        found = dict(logs)
        if len(found) < len(logs):
            way_out = "Give a penalty or a metric another `name=`."
            checks.unique([name for name, _ in logs], "logs", way_out)
        return found

    @_signature_of(keras.Model.fit)
    def fit(self, *args, **kwargs):
        """Train the model; see `keras.Model.fit`."""
        call = self._call_of(keras.Model.fit, args, kwargs)
        # Layers may have been unfrozen since.
        check_apart(self.student, self.teacher)
        with self._guard.reporting(self, call.arguments):
            history = super().fit(*call.args[1:], **call.kwargs)
        checks.some_batches(history.history or not history.epoch)
        return history

    @_signature_of(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        """Evaluate the model; see `keras.Model.evaluate`."""
        self._guard.report(self)
        call = self._call_of(keras.Model.evaluate, args, kwargs)
        with self._guard.reporting(self, call.arguments):
            logs = super().evaluate(*call.args[1:], **call.kwargs)
        # A loss of 0 is no lack of logs.
        checks.some_batches(logs not in ([], {}))
        return logs

    @_signature_of(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        """Make one step; see `keras.Model.train_on_batch`."""
        if self._source is not None:
            self._call_of(keras.Model.train_on_batch, args, kwargs)
        with self._guard.reporting(self):
            return super().train_on_batch(*args, **kwargs)

    @_signature_of(keras.Model.test_on_batch)
    def test_on_batch(self, *args, **kwargs):
        """Test on one batch; see `keras.Model.test_on_batch`."""
        with self._guard.reporting(self):
            return super().test_on_batch(*args, **kwargs)

    def train_step(self, *arguments):
        """A training step that is rolled back if it has to stop."""
        return self._guard.step(self, super().train_step, arguments)

    def make_train_function(self, force: bool = False) -> Any:
        """Make the step of training; see `keras.Model.make_train_function`."""
        return self._steps.make(self, "train", force)

    def make_test_function(self, force: bool = False) -> Any:
        """Make the step of `evaluate`; see `keras.Model.evaluate`."""
        return self._steps.make(self, "test", force)

    def make_predict_function(self, force: bool = False) -> Any:
        """Make the step of `predict`; see `keras.Model.predict`."""
        return self._steps.make(self, "predict", force)

    def _call_of(self, method, args, kwargs):
        """The arguments of a method that trains or evaluates, checked."""
        call = inspect.signature(method).bind(self, *args, **kwargs)
        has_source = self._source is not None and self._source.has_data
        if has_source and call.arguments.get("class_weight") is not None:
            raise checks.invalid(
                "`class_weight=None`, because the model has a source task: a "
                "batch holds the labels of two tasks, and Keras weights "
                "classes of one",
                f"class_weight={call.arguments['class_weight']!r}",
                "Weight the samples: `keras_otreg.data.paired((x, y, weights), "
                "(x_source, y_source, weights_source))`.",
            )
        self.frozen.check_data(call.arguments.values())
        return call

    # Keras 3.12 to 3.15 have no public method for the next two: these run the
    # model on the shapes of its data, in inference mode, before its first step.

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        strategy = self.distribute_strategy
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            # Keras would average the batches of all replicas, which may be
            # unlike (keras-team/keras, issue 20585).
            batch = next((next(batches) for *_, batches in iterator), None)
            local = strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda x: local(x)[0], batch)
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _symbolic_build(self, *args, **kwargs):
        if self.compiled and not getattr(self.optimizer, "built", True):
            # PyTorch builds the optimizer here, before a step is made.
            self._steps.train_adapters()
        self._reader.takes_either = True
        try:
            super()._symbolic_build(*args, **kwargs)
        finally:
            self._reader.takes_either = False
