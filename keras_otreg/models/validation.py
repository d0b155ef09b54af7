"""Checks, before any training, that the parts of a `TransferModel` fit."""

from typing import Any, NamedTuple

import keras

from keras_otreg import checks
from keras_otreg.features.taps import activation_specs, input_spec, output_of
from keras_otreg.features.walk import find_layer


class Companions(NamedTuple):
    """Layers that penalties need, each by the name of its penalty.

    Attributes:
        adapters: Trained between the student and a loss.
        memories: What losses keep from one training step to the next.
    """

    adapters: dict[str, keras.layers.Layer]
    memories: dict[str, keras.layers.Layer]


def check_layers(
    student: keras.Model,
    teacher: keras.Model | None,
    penalties: dict[str, Any],
) -> Companions:
    """Makes sure that penalties can act between two networks.

    What cannot be known before the first batch, as with a subclassed model
    whose input shape is not on record, is left to the first step.

    Args:
        student: A built `keras.Model`.
        teacher: A built `keras.Model`; may be `None` without penalties.
        penalties: `Penalty` objects by their names.

    Returns:
        The layers that some penalties need beside the two networks.

    Raises:
        ValueError: If the teacher is not built, shares trained weights with
            the student, or cannot take its inputs; if a layer is unknown; or
            if a loss does not fit the shapes of its layers.
    """
    if teacher is not None:
        checks.built_model(teacher, "teacher")
    check_apart(student, teacher)
    for penalty in penalties.values():
        find_layer(student, penalty.at)
        find_layer(teacher, penalty.teacher_at)
    if not penalties or input_spec(student) is None:
        return Companions({}, {})
    student_specs = activation_specs(student)
    teacher_specs = _teacher_specs(teacher, student)
    companions = Companions({}, {})
    for name, penalty in penalties.items():
        known = output_of(teacher_specs, penalty.teacher_at)
        found = output_of(student_specs, penalty.at)
        _check_layout(teacher, penalty.teacher_at, known)
        _check_layout(student, penalty.at, found)
        adapter = penalty.adapter(known, found)
        if adapter is not None:
            companions.adapters[name] = adapter
        _check_loss(name, penalty, known, found, adapter)
        memory = penalty.memory(known, found)
        if memory is not None:
            companions.memories[name] = memory
    return companions


def check_apart(student: keras.Model, teacher: keras.Model | None) -> None:
    """Makes sure that a teacher stays as it is while a student is trained.

    Raises:
        ValueError: If the teacher shares trained weights with the student.
    """
    if teacher is not None:
        trained = {id(v): v.path for v in student.trainable_variables}
        shared = [trained[id(v)] for v in teacher.variables if id(v) in trained]
        if shared:
            raise checks.invalid(
                "a teacher whose weights are its own, because it must stay as "
                "it is",
                f"a teacher that shares {len(shared)} trainable weights with "
                f"the student, such as {shared[:3]}",
                "Leave out `teacher=` for a frozen copy of the student, or "
                "copy it with `keras.models.clone_model` and `set_weights`.",
            )


def num_inputs(student: keras.Model) -> int | None:
    """How many tensors a model takes; `None` if that is not on record."""
    inputs = input_spec(student)
    return None if inputs is None else len(keras.tree.flatten(inputs))


def input_shapes(student: keras.Model) -> Any:
    """Shapes of what a model takes; `None` if they are not on record."""
    inputs = input_spec(student)
    if inputs is None:
        return None
    return keras.tree.map_structure(lambda x: tuple(x.shape), inputs)


def export_signature(student: keras.Model, given: Any) -> Any:
    """What Keras is told of the inputs when it exports a wrapper of a model.

    A wrapper that was never called has no inputs on record.

    Args:
        student: The model inside.
        given: The `input_signature` of the user, or `None`.
    """
    inputs = input_spec(student)
    if given is not None or inputs is None:
        return given
    return [
        keras.tree.map_structure(
            lambda x: keras.InputSpec(
                shape=(None, *x.shape[1:]), dtype=x.dtype
            ),
            inputs,
        )
    ]


def _check_layout(model, path, spec):
    checks.channels_last(
        find_layer(model, path), len(getattr(spec, "shape", ())), path
    )


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


class _Loss(keras.Operation):
    """Finds out whether a loss takes some shapes, without data."""

    def __init__(self, penalty, adapter):
        super().__init__()
        self.penalty = penalty
        self.adapter = adapter
        self.error = None

    def call(self, teacher, student):
        try:
            return self.penalty(teacher, student, None, self.adapter)
        except Exception as error:
            # Keras wraps what it catches in advice about `Operation`.
            self.error = error
            raise


def _check_loss(name, penalty, teacher, student, adapter):
    loss = _Loss(penalty, adapter)
    try:
        loss.compute_output_spec(teacher, student)
    except Exception as error:
        raise ValueError(
            f"The loss of penalty '{name}' cannot compare teacher layer "
            f"'{penalty.teacher_at}' of shape {tuple(teacher.shape)} with "
            f"student layer '{penalty.at}' of shape {tuple(student.shape)}. "
            f"{loss.error or error}"
        ) from error
