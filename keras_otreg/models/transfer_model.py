"""The wrapper that trains a student under penalties towards a teacher."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.features.taps import capture
from keras_otreg.models import batch
from keras_otreg.models.captured import Captured, Forward
from keras_otreg.models.frozen import FrozenNetwork, frozen_copy
from keras_otreg.models.guarded import Guarded
from keras_otreg.models.joint import JointTraining
from keras_otreg.models.loss_weights import LossWeights
from keras_otreg.models.penalty import Penalty, names_in_logs
from keras_otreg.models.rehearsal import Rehearsed
from keras_otreg.models.saved import Saved
from keras_otreg.models.source_model import SourceModel
from keras_otreg.models.source_task import SourceTask
from keras_otreg.models.terms import Term
from keras_otreg.models.validation import (
    check_layers,
    check_source_task,
    input_shapes,
    num_inputs,
)
from keras_otreg.models.weights import acts
from keras_otreg.saving import export


@export
class TransferModel(Saved, Guarded, Rehearsed, keras.Model):
    """Trains a student while its representations stay close to a teacher's.

    It is a `keras.Model` with the inputs and outputs of the student: `compile`,
    `fit`, `evaluate` and `predict` are Keras's own. Each step runs the student
    once and the teacher once, the latter in inference mode, or not at all on
    what `keras_otreg.data.with_teacher` returns; `predict` runs the student
    alone. The logs hold each penalty by its name, without its weight,
    beside `loss`, the one total that is optimised.

    Args:
        student: A built `keras.Model`. It is trained in place, and stays a
            plain model.
        teacher: A built `keras.Model` that takes the same inputs; its outputs
            do not matter. If not given, a frozen copy of the student as it is
            now. It is read, and never changed.
        penalties: `Penalty` objects.
        source_task: A `SourceTask` that trains beside the target task. `fit`
            then takes pairs, see `keras_otreg.data.paired`; `evaluate` and
            `predict` take target data as ever.
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
        model = otreg.TransferModel(
            student,
            penalties=[
                otreg.Penalty(
                    otreg.losses.RepresentationTransport(), at="avg_pool"
                )
            ],
        )
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
        self.penalties = checks.penalties(penalties, Penalty)
        if is_copy := teacher is None and bool(self.penalties):
            teacher = frozen_copy(student)
        self._frozen = FrozenNetwork(teacher, is_ours=is_copy)
        # Keras asks only the layers that it tracks.
        self.supports_jit = self._frozen.supports_jit
        # What Keras is to train or to save, outside of the student.
        self._names = checks.penalty_names(names_in_logs(self.penalties))
        companions = check_layers(student, teacher, self._named())
        self.adapters, self.memories = companions
        self._is_on = {k: acts(x.weight) for k, x in self._named().items()}
        self.source_task = source_task
        self._joint = None
        if source_task is not None:
            self._add_source_task()
        names = [*self._names]
        names += self._joint.names if self._joint else []
        self._guard(on_nonfinite, names, len(self.penalties))
        self.loss_weights = LossWeights(self._weighted(), self.variable_dtype)
        self._num_inputs = num_inputs(student) or (1 if self._joint else 0)
        self._captured = Captured()
        # With its shapes on record, Keras can export the model.
        self.build(input_shapes(student))

    @property
    def teacher(self) -> keras.Model | None:
        """The network that the penalties pull towards."""
        return self._frozen.model

    @property
    def source_model(self) -> keras.Model | None:
        """The student's shared layers under the source head."""
        if self._joint is None:
            return None
        task = self._joint.task
        return SourceModel(self.student, task.at, task.head)

    @property
    def output_names(self) -> list[str]:
        """Names of the student's outputs, for losses that are given by them."""
        return self.student.output_names

    def build(self, input_shape: Any = None) -> None:
        """Has nothing to do: the student is built."""
        self.built = True

    def call(self, inputs, training=None):
        """Returns the student's prediction for the labelled target inputs."""
        forward = self._forward(inputs, training)
        prediction = forward.parts.labelled_rows(forward.outputs)
        self._captured.put(prediction, forward)
        return prediction

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The task's loss, the student's own losses, and all other terms."""
        total, terms = self.loss_terms(x, y, y_pred, sample_weight, training)
        step = engine.optimizer_step(self.optimizer)
        return self._guarded_sum(total, terms, x, step, training)

    def loss_terms(
        self, x, y, y_pred, sample_weight=None, training=True
    ) -> tuple[Any, list[Term]]:
        """The summands of `compute_loss`, which takes the same arguments.

        Returns:
            The loss of the task, with the student's own losses, and a list of
            `keras_otreg.models.terms.Term`.
        """
        forward = self._captured.take(y_pred)
        if forward is None:
            # Someone else's prediction: its activations are not at hand.
            forward = self._forward(x, training)
        target, source = self._labels(x, y, sample_weight)
        total = self._task_loss(x, target, y_pred, training)
        weights = forward.parts.penalty_weights(target.weights)
        terms = self._penalty_terms(forward, weights, training)
        if forward.parts.source is not None:
            terms += self._joint.terms(
                forward, source, weights, training, total
            )
        return total, [self.loss_weights.read(term) for term in terms]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The metrics of the target task, and all that was logged."""
        target, _ = self._labels(x, y, sample_weight)
        logs = super().compute_metrics(x, target.y, y_pred, target.weights)
        if self._joint is None or batch.is_pair(x, self._num_inputs):
            return logs
        # Without source data there is nothing to say of the source task.
        joint = [*self._joint.names, *(m.name for m in self._source_metrics)]
        return {name: logs[name] for name in logs if name not in joint}

    def _add_source_task(self):
        task = checks.instance_of(
            self.source_task, SourceTask, "source_task", "a `SourceTask`"
        )
        check_source_task(self.student, task)
        self._joint = JointTraining(task)
        # What Keras is to train, to reset and to save.
        self.source_head = task.head
        self._source_metrics = self._joint.metrics if self._joint.acts else []

    def _named(self):
        """The penalties by their names in the logs."""
        return dict(zip(self._names, self.penalties, strict=True))

    def _weighted(self):
        """Where each term of the loss has its weight, by its name."""
        owners = {k: (x, "weight") for k, x in self._named().items()}
        task = self.source_task
        if task is not None:
            owners[f"{task.name}_loss"] = task, "weight"
        if task is not None and task.transport is not None:
            owners[f"{task.name}_transport"] = task, "transport_weight"
        return owners

    def check_inputs(self, x: Any) -> None:
        """Raises if these are not the inputs of a step of training."""
        self._parts(x, training=True)

    def _parts(self, x, training):
        """The parts of a step's inputs, source samples only if they act."""
        expected = bool(training) and self._joint is not None
        is_pair = batch.is_pair(x, self._num_inputs)
        if self._joint is None or not self._is_rehearsal:
            checks.paired_batch(is_pair, expected)
        if not is_pair:
            return batch.split(x)
        return batch.split(x[0], x[1] if self._joint.acts else None)

    def _forward(self, x, training):
        """Runs the student once on all parts of a step's inputs."""
        parts = self._parts(x, training)
        paths = [penalty.at for penalty in self.penalties]
        if self._joint is not None:
            paths.append(self._joint.task.at)
        found = capture(self.student, parts.joined(), paths, training=training)
        return Forward(parts, *found)

    def _labels(self, x, y, sample_weight):
        """Labels and weights of the target samples, and of the source's."""
        paired = batch.is_pair(x, self._num_inputs)
        return batch.split_labels(y, sample_weight, paired)

    def _task_loss(self, x, target, y_pred, training):
        if self.loss is None and not self.losses:
            return ops.zeros(())
        return super().compute_loss(
            x, target.y, y_pred, target.weights, training
        )

    def _penalty_terms(self, forward, weights, training):
        if not self.penalties:
            return []
        known = self._frozen.target_activations(
            forward.parts, [penalty.teacher_at for penalty in self.penalties]
        )
        memories = self.memories if training else {}
        return [
            self._policy.term(
                name,
                penalty,
                known[penalty.teacher_at],
                forward.parts.target_rows(forward.activations[penalty.at]),
                weights,
                self.adapters.get(name),
                memories.get(name),
            )
            for name, penalty in self._named().items()
        ]
