"""Layers that add a penalty between two representations, or name one."""

from typing import Any

import keras
from keras import ops

from keras_otreg import checks, engine
from keras_otreg.saving import export


@export
class FeaturePenalty(keras.layers.Layer):
    """Adds a loss between teacher and student features to its model.

    With it, a functional model that holds both networks trains under plain
    `keras.Model.fit`. The teacher's features are held constant.

    Args:
        loss: A `keras.losses.Loss` over (teacher, student) features.
        weight: Factor of the loss, of at least 0.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        teacher: Features of the teacher, or a pair (teacher, student).
        student: Features of the student, if the first is not a pair.

    Example:
        ```python
        teacher.trainable = False
        known = teacher(inputs, training=False)
        features = backbone(inputs)
        penalty = FeaturePenalty(otreg.losses.RepresentationTransport())
        features = penalty(known, features)
        model = keras.Model(inputs, keras.layers.Dense(10)(features))
        ```
    """

    def __init__(self, loss: Any, weight: float = 1.0, **kwargs: Any):
        # The student's features are returned as they came, in their own dtype.
        super().__init__(**{"autocast": False, **kwargs})
        self.loss = checks.loss(loss)
        self.weight = checks.non_negative(weight, "weight")
        self.supports_masking = True

    def call(self, teacher, student=None):
        """Add the loss; return the student's features unchanged."""
        teacher, student = _pair(teacher, student)
        value = self.loss(ops.stop_gradient(teacher), student)
        # Keras divides what is added by the number of replicas, as it has
        # divided the value.
        self.add_loss(self.weight * engine.unscale_loss(value))
        return student

    def compute_output_spec(self, teacher, student=None):
        """Shape of the student's features."""
        _, student = _pair(teacher, student)
        return keras.KerasTensor(student.shape, dtype=student.dtype)

    def compute_mask(self, inputs, previous_mask):
        """None: the student's features keep the mask that they carry."""

    def get_config(self):
        """Return the constructor's arguments."""
        loss = keras.saving.serialize_keras_object(self.loss)
        own = {"loss": loss, "weight": self.weight}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        """Build the layer that `get_config` described."""
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**{**config, "loss": loss})


@export
class FeatureTap(keras.layers.Identity):
    """Returns its input, and gives it a name to be captured by.

    Place it where a model has no layer of its own to name: after an operation,
    or inside the `call` of a subclassed model. It takes tensors of any shape.

    Example:
        ```python
        x = otreg.layers.FeatureTap(name="features")(x + shortcut)
        penalty = otreg.Penalty(loss, at="features")
        ```
    """

    def __init__(self, **kwargs):
        # The input is returned as it came, in its own dtype.
        super().__init__(**{"autocast": False, **kwargs})


def _pair(teacher, student):
    if student is not None:
        return teacher, student
    if isinstance(teacher, (list, tuple)) and len(teacher) == 2:
        return tuple(teacher)
    raise checks.invalid(
        "the features of a teacher and of a student, as two arguments or as "
        "one pair",
        repr(teacher),
    )
