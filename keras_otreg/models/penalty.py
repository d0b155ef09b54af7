"""A loss between two layers, where it acts and how strongly."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.taps import (
    Symbolic,
    activation_specs,
    input_spec,
    output_of,
)
from keras_otreg.features.walk import find_layer
from keras_otreg.losses.base import ActivationLoss, TransportLoss
from keras_otreg.models.parts import input_shapes
from keras_otreg.models.terms import Term, WeightAttribute, acts
from keras_otreg.saving import Configurable, export


class Weighted(Configurable):
    """A term of a loss with a weight that may be set during training."""

    weight = WeightAttribute()


@export
class Penalty(Weighted):
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
            of the optimizer. At weight 0 the loss is only logged. A callback
            may set the attribute: it counts from the next step on.
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
        self._name = name and checks.instance_of(name, str, "name", "a string")

    @property
    def name(self) -> str:
        """The name that was given, or that of the loss."""
        return self._name or self.loss.name

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
            paths = {"stage1": "block2_out", "features": "avg_pool"}
            loss = otreg.losses.TransportAlignment()
            penalties = otreg.Penalty.at_each(loss, paths)
            ```
        """
        paths = [at] if isinstance(at, str) else at
        theirs = at if isinstance(at, Mapping) else {}
        name = name or checks.loss(loss).name
        return [
            cls(loss, x, theirs.get(x), weight=weight, name=_name_at(name, x))
            for x in paths
        ]

    def adapter(self, teacher: Any, student: Any) -> Any:
        """Makes the layer that the loss trains between the two, or `None`."""
        if not isinstance(self.loss, ActivationLoss):
            return None
        layer = self.loss.adapter(tuple(teacher.shape), tuple(student.shape))
        if layer is not None:
            layer.build(student.shape)
            # What is only logged has no gradient to be trained by.
            layer.trainable = acts(self.weight)
        return layer

    def memory(self, teacher: Any, student: Any) -> Any:
        """Makes the layer with the loss's state between steps, or `None`."""
        if not isinstance(self.loss, ActivationLoss):
            return None
        return self.loss.memory(tuple(teacher.shape), tuple(student.shape))

    def term(
        self,
        teacher: Any,
        student: Any,
        sample_weight: Any,
        adapter: Any = None,
        memory: Any = None,
    ) -> Term:
        """Term that the penalty adds to a loss, for `(batch, ...)` activations.

        `adapter` and `memory` are what these methods made; the latter is given
        in training steps alone.
        """
        if adapter is not None:
            student = adapter(student)
        if sample_weight is not None:
            # A Keras loss has a value for each position of each sample.
            inner = (1,) * (len(student.shape) - 2)
            sample_weight = ops.reshape(sample_weight, (-1, *inner))
            shape = ops.shape(student)[:-1]
            sample_weight = ops.broadcast_to(sample_weight, shape)
        # Any Keras loss may be here; only some take a memory.
        kept = {} if memory is None else {"memory": memory}
        value = self.loss(teacher, student, sample_weight=sample_weight, **kept)
        solved = None
        if isinstance(self.loss, TransportLoss):
            arguments = teacher, student, sample_weight, memory
            solved = functools.partial(self.loss.solved, *arguments)
        return Term(self.name, value, self.weight, solved)


def by_name(penalties: Any) -> dict[str, Any]:
    """One or several penalties of a model by their names in its logs."""
    several = isinstance(penalties, Iterable)
    penalties = list(penalties) if several else [penalties]
    expected = "`keras_otreg.Penalty` or `WeightPenalty` objects"
    for penalty in penalties:
        checks.instance_of(penalty, Weighted, "penalties", expected)
    names = [penalty.name for penalty in penalties]
    found = [
        _name_at(name, penalty.at)
        if isinstance(penalty, Penalty)
        and penalty._name is None
        and names.count(name) > 1
        else name
        for name, penalty in zip(names, penalties, strict=True)
    ]
    # Under which the logs have the total.
    way_out = "Give one of them another `name=`."
    checks.unique([*found, "loss"], "penalties and the total loss", way_out)
    return dict(zip(found, penalties, strict=True))


def _name_at(name, path):
    return f"{name}_{re.sub('[/#]', '_', str(path))}"


def companions(
    student: keras.Model, teacher: keras.Model | None, penalties: dict[str, Any]
) -> tuple[dict[str, keras.Layer], dict[str, keras.Layer]]:
    """Adapters and memories that penalties need, by the penalties' names.

    Raises if they cannot act between the two networks, as far as is known
    before the first batch.
    """
    if teacher is not None:
        checks.built_model(teacher, "teacher")
    check_apart(student, teacher)
    for penalty in penalties.values():
        find_layer(student, penalty.at)
        find_layer(teacher, penalty.teacher_at)
    adapters: dict[str, keras.Layer] = {}
    memories: dict[str, keras.Layer] = {}
    if not penalties or input_spec(student) is None:
        return adapters, memories
    student_specs = activation_specs(student)
    teacher_specs = _teacher_specs(teacher, student)
    for name, penalty in penalties.items():
        known = output_of(teacher_specs, penalty.teacher_at)
        found = output_of(student_specs, penalty.at)
        _check_layout(teacher, penalty.teacher_at, known)
        _check_layout(student, penalty.at, found)
        adapter = penalty.adapter(known, found)
        if adapter is not None:
            adapters[name] = adapter
        _check_loss(name, penalty, known, found, adapter)
        memory = penalty.memory(known, found)
        if memory is not None:
            memories[name] = memory
    return adapters, memories


def check_apart(student: keras.Model, teacher: keras.Model | None) -> None:
    """Makes sure that training a student does not change its teacher."""
    if teacher is None:
        return
    trained = {id(v): v.path for v in student.trainable_variables}
    shared = [trained[id(v)] for v in teacher.variables if id(v) in trained]
    if shared:
        raise checks.invalid(
            "a teacher whose weights are its own, because it stays as it is",
            f"a teacher that shares {len(shared)} trainable weights with the "
            f"student, such as {shared[:3]}",
            "Leave out `teacher=` for a frozen copy of the student, or copy it "
            "with `keras.models.clone_model` and `set_weights`.",
        )


def _check_layout(model, path, spec):
    rank = len(getattr(spec, "shape", ()))
    checks.channels_last(find_layer(model, path), rank, path)


def _teacher_specs(teacher, student):
    inputs = input_spec(student)
    try:
        return activation_specs(teacher, inputs)
    except Exception as error:
        raise checks.invalid(
            "a teacher that takes the inputs of the student, because both see "
            "the same batch",
            f"teacher '{teacher.name}' with input shape "
            f"{getattr(teacher, 'input_shape', 'unknown')} and student "
            f"'{student.name}' with input shape {input_shapes(student)}",
            "Put a resizing or preprocessing layer in front of one of them.",
        ) from error


def _check_loss(name, penalty, teacher, student, adapter):
    run = Symbolic(lambda pair: penalty.term(*pair, None, adapter).value)
    try:
        run.compute_output_spec((teacher, student))
    except Exception as error:
        # Keras wraps what it catches in advice about `Operation`.
        reason = error.__context__ or error
        raise ValueError(
            f"The loss of penalty '{name}' cannot compare teacher layer "
            f"'{penalty.teacher_at}' of shape {tuple(teacher.shape)} with "
            f"student layer '{penalty.at}' of shape {tuple(student.shape)}. "
            f"{reason}"
        ) from error
