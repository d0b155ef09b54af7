"""A loss between two layers, where it acts and how strongly."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.losses.base import TransportLoss, solved_plan
from keras_otreg.losses.sample_loss import SampleLoss
from keras_otreg.models.terms import (
    Term,
    acts,
    deserialize_weight,
    serialize_weight,
)
from keras_otreg.saving import Configurable, export


@export
class Penalty(Configurable):
    """Keeps a layer of the student close to a layer of the teacher.

    Args:
        loss: Any `keras.losses.Loss` over (teacher, student) activations.
        at: Path of the student's layer, such as `"avg_pool"` or
            `"backbone/block3_out"`; `keras_otreg.features.summary(model)`
            prints all of them. `"encoder#1"` is the second call of a layer
            that the model calls repeatedly.
        teacher_at: Path of the teacher's layer; the same if not given.
        weight: Factor of the loss: a number of at least 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` over the steps
            of the optimizer. At weight 0 the loss is logged and has no effect.
            A callback may set the attribute: it counts from the next step on.
        name: Under which the value of the loss, without the weight, is
            logged. If not given, the name of the loss, with the path of the
            layer behind it where a model has several penalties of that name.

    Example:
        ```python
        otreg.Penalty(otreg.losses.RepresentationTransport(), at="avg_pool")
        ```
    """

    def __init__(
        self,
        loss: Any,
        at: str,
        teacher_at: str | None = None,
        *,
        weight: Any = 1.0,
        name: str | None = None,
    ):
        self.loss = checks.loss(loss)
        self.at = checks.layer_path(at, "at")
        self.teacher_at = checks.layer_path(teacher_at or at, "teacher_at")
        self.weight = weight
        self._name = (
            checks.instance_of(name, str, "name", "a string") if name else None
        )

    @property
    def name(self) -> str:
        """The name that was given, or that of the loss."""
        return self._name or self.loss.name

    @property
    def weight(self) -> Any:
        """Factor of the loss; may be set during training."""
        return self._weight

    @weight.setter
    def weight(self, value: Any) -> None:
        self._weight = checks.weight(value)

    @classmethod
    def at_each(
        cls,
        loss: Any,
        at: Sequence[str] | Mapping[str, str],
        *,
        weight: Any = 1.0,
        name: str | None = None,
    ) -> list["Penalty"]:
        """The same loss at several layers, such as the ends of all stages.

        Args:
            loss: Any `keras.losses.Loss` over (teacher, student) activations.
            at: Paths of the student's layers; a mapping from them to layers
                of the teacher where those have other paths.
            weight: Factor of the loss at each of them.
            name: Under which the values are logged, with the path behind it;
                the name of the loss if not given.

        Returns:
            A list of `Penalty` objects.

        Example:
            ```python
            otreg.Penalty.at_each(
                otreg.losses.TransportAlignment(),
                {"stage1": "block2_out", "features": "avg_pool"},
            )
            ```
        """
        paths = [at] if isinstance(at, str) else at
        name = name or checks.loss(loss).name
        return [
            cls(
                loss,
                path,
                at[path] if isinstance(at, Mapping) else path,
                weight=weight,
                name=_name_at(name, path),
            )
            for path in paths
        ]

    def adapter(self, teacher: Any, student: Any) -> Any:
        """Makes the layer that the loss needs trained on the student's side.

        Args:
            teacher: Symbolic activations of the teacher.
            student: Symbolic activations of the student.

        Returns:
            A built layer, or `None` if the loss needs none.
        """
        if not isinstance(self.loss, SampleLoss):
            return None
        layer = self.loss.adapter(tuple(teacher.shape), tuple(student.shape))
        if layer is not None:
            layer.build(student.shape)
            # What is only logged has no gradient to be trained by.
            layer.trainable = acts(self.weight)
        return layer

    def memory(self, teacher: Any, student: Any) -> Any:
        """Makes the layer that holds the state of the loss between steps.

        Args:
            teacher: Symbolic activations of the teacher.
            student: Symbolic activations of the student.

        Returns:
            A built layer, or `None` if the loss has no state.
        """
        if not isinstance(self.loss, TransportLoss):
            return None
        return self.loss.memory(tuple(teacher.shape), tuple(student.shape))

    def __call__(
        self,
        teacher: Any,
        student: Any,
        sample_weight: Any,
        adapter: Any = None,
        memory: Any = None,
    ) -> Any:
        """The value of the loss, without the weight.

        Args:
            teacher: Activations of the teacher, of shape `(batch, ...)`.
            student: Activations of the student, of shape `(batch, ...)`.
            sample_weight: Shape `(batch,)`, or `None`.
            adapter: What `adapter` made for the two layers.
            memory: What `memory` made for them, in a training step.

        Returns:
            A scalar.
        """
        return self.term(teacher, student, sample_weight, adapter, memory).value

    def term(
        self,
        teacher: Any,
        student: Any,
        sample_weight: Any,
        adapter: Any = None,
        memory: Any = None,
    ) -> Term:
        """What the penalty adds to a loss; takes what a call takes."""
        if adapter is not None:
            student = adapter(student)
        if sample_weight is not None:
            # A Keras loss has a value for each position of each sample.
            inner = (1,) * (len(student.shape) - 2)
            sample_weight = ops.broadcast_to(
                ops.reshape(sample_weight, (-1, *inner)),
                ops.shape(student)[:-1],
            )
        # Any Keras loss may be here; only some take a memory.
        kept = {} if memory is None else {"memory": memory}
        value = self.loss(teacher, student, sample_weight=sample_weight, **kept)
        solved = functools.partial(
            solved_plan,
            self.loss,
            teacher,
            student,
            sample_weight,
            memory=memory,
        )
        return Term(self.name, value, self.weight, solved)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "at": self.at,
            "teacher_at": self.teacher_at,
            "weight": serialize_weight(self.weight),
            "name": self._name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Penalty":
        """Builds the penalty that `get_config` described."""
        loss = keras.saving.deserialize_keras_object(config["loss"])
        weight = deserialize_weight(config["weight"])
        return cls(**{**config, "loss": loss, "weight": weight})


def names_in_logs(penalties: Sequence[Penalty]) -> list[str]:
    """Names under which the penalties of one model are logged.

    Args:
        penalties: `Penalty` objects.

    Returns:
        A name for each. One that several have, and that was not given, is
        followed by the path of the layer.

    Raises:
        ValueError: If two have one name, or one has that of the total loss.
    """
    names = [penalty.name for penalty in penalties]
    found = [
        _name_at(name, penalty.at)
        if penalty._name is None and names.count(name) > 1
        else name
        for name, penalty in zip(names, penalties, strict=True)
    ]
    # Under which the logs have the total.
    way_out = "Give one of them another `name=`."
    checks.unique([*found, "loss"], "penalties and the total loss", way_out)
    return found


def _name_at(name, path):
    return f"{name}_{re.sub('[/#]', '_', str(path))}"


def as_penalties(values: Any) -> list[Penalty]:
    """Return one or several penalties as a list."""
    values = list(values) if isinstance(values, Iterable) else [values]
    expected = "`keras_otreg.Penalty` objects"
    for value in values:
        checks.instance_of(value, Penalty, "penalties", expected)
    return values
