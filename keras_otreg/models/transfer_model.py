"""The wrapper that trains a student under penalties towards a teacher."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.taps import capture
from keras_otreg.models import batch
from keras_otreg.models.captured import Captured
from keras_otreg.models.fit_together import check_layers
from keras_otreg.models.frozen import FrozenNetwork, frozen_copy
from keras_otreg.models.penalty import Penalty
from keras_otreg.models.replicas import unscaled
from keras_otreg.saving import export


@export
class TransferModel(keras.Model):
    """Trains a student while its representations stay close to a teacher's.

    It is a `keras.Model` with the inputs and outputs of the student: `compile`,
    `fit`, `evaluate` and `predict` are Keras's own. Each step runs the student
    once and the teacher once, the latter in inference mode; `predict` runs the
    student alone. The logs hold each penalty by its name, without its weight,
    beside `loss`, the one total that is optimised.

    Args:
        student: A built `keras.Model`. It is trained in place, and stays a
            plain model.
        teacher: A built `keras.Model` that takes the same inputs; its outputs
            do not matter. If not given, a frozen copy of the student as it is
            now. It is read, and never changed.
        penalties: `Penalty` objects.
        name: Name of the model.

    Raises:
        ValueError: If a model is not built, a layer is unknown, the teacher
            cannot take the student's inputs, or two penalties share a name.

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
        name: str = "transfer_model",
    ):
        checks.built_model(student, "student")
        # The student casts its own inputs; its policy decides loss scaling.
        super().__init__(name=name, dtype=student.dtype_policy, autocast=False)
        self.student = student
        self.penalties = checks.penalties(penalties, Penalty)
        if teacher is None and self.penalties:
            teacher = frozen_copy(student)
        self._frozen = FrozenNetwork(teacher)
        check_layers(student, teacher, self.penalties)
        self._values = [keras.metrics.Mean(name=p.name) for p in self.penalties]
        self._captured = Captured()
        self.built = True

    @property
    def teacher(self) -> keras.Model | None:
        """The network that the penalties pull towards."""
        return self._frozen.model

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the student is built."""

    def call(self, inputs, training=None):
        """Returns the student's prediction."""
        prediction, activations = capture(
            self.student,
            batch.joined(inputs),
            [penalty.at for penalty in self.penalties],
            training=training,
        )
        prediction = batch.labelled_part(prediction, inputs)
        self._captured.put(prediction, activations)
        return prediction

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The task's loss, the student's own losses, and the penalties."""
        activations = self._captured.take(y_pred)
        if activations is None:
            # Someone else's prediction: its activations are not at hand.
            self.call(x, training=training)
            activations = self._captured.take(None)
        total = self._task_loss(x, y, y_pred, sample_weight, training)
        if not self.penalties:
            return total
        weights = batch.penalty_weights(sample_weight, x)
        return ops.add(total, self._penalties(x, activations, weights))

    def get_config(self):
        """Returns the constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "teacher": serialize(self.teacher) if self.teacher else None,
            "penalties": [serialize(penalty) for penalty in self.penalties],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the model that `get_config` described."""
        rebuilt = {
            key: keras.saving.deserialize_keras_object(value, custom_objects)
            for key, value in config.items()
        }
        return cls(**rebuilt)

    def _task_loss(self, x, y, y_pred, sample_weight, training):
        if self.loss is None and not self.losses:
            return ops.zeros(())
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _penalties(self, x, activations, weights):
        """The weighted sum of the penalties; logs each of them."""
        known = self._frozen.activations(
            batch.joined(x), [p.teacher_at for p in self.penalties]
        )
        step = 0 if self.optimizer is None else self.optimizer.iterations
        total = 0.0
        for penalty, mean in zip(self.penalties, self._values, strict=True):
            value = penalty(
                known[penalty.teacher_at], activations[penalty.at], weights
            )
            mean.update_state(unscaled(value), batch.batch_size(x))
            if penalty.acts:
                weighted = ops.multiply(penalty.weight_at(step), value)
                total = ops.add(total, weighted)
        return total
