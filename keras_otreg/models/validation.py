"""Checks, before any training, that the parts of a `TransferModel` fit."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.features.taps import (
    activation_specs,
    capture,
    input_spec,
    output_of,
)
from keras_otreg.features.walk import find_layer
from keras_otreg.losses import ClassTransport


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
        checks.separate_weights(
            [trained[id(v)] for v in teacher.variables if id(v) in trained]
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


def check_source_task(student: keras.Model, task: Any) -> None:
    """Builds the source head, or raises if it cannot be tied to a student.

    Args:
        student: A built `keras.Model`.
        task: A `SourceTask`.

    Raises:
        ValueError: If the layer is unknown, the head does not fit its
            activations, the cost matrix does not fit the two heads, or a head
            does not give the probabilities that the transport loss expects.
    """
    find_layer(student, task.at)
    inputs = input_spec(student)
    if inputs is None:
        checks.built_head(task.head)
        return
    specs = activation_specs(student)
    shared = output_of(specs, task.at)
    try:
        predicted = task.head(keras.KerasTensor(shared.shape, shared.dtype))
    except Exception as error:
        raise checks.misfit_head(
            task.head.name, task.at, tuple(shared.shape), error
        ) from error
    if isinstance(task.transport, ClassTransport):
        prediction = student.compute_output_spec(inputs)
        checks.single_tensor(prediction, f"{student.name} (its prediction)")
        costs = task.transport.cost_matrix
        checks.class_counts(costs.shape, predicted.shape, prediction.shape)
        _check_probabilities(student, task, inputs)


def _check_layout(model, path, spec):
    checks.channels_last(
        find_layer(model, path), len(getattr(spec, "shape", ())), path
    )


def _teacher_specs(teacher, student):
    inputs = input_spec(student)
    try:
        return activation_specs(teacher, inputs)
    except Exception as error:
        expected = input_shapes(student)
        raise checks.unshared_input(teacher, student, expected) from error


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
        raise checks.misfit_loss(
            name,
            f"'{penalty.teacher_at}' of shape {tuple(teacher.shape)}",
            f"'{penalty.at}' of shape {tuple(student.shape)}",
            loss.error or error,
        ) from error


def _check_probabilities(student, task, inputs):
    """Raises if a head does not return probabilities for samples of noise."""
    shapes = [(2, *x.shape[1:]) for x in keras.tree.flatten(inputs)]
    if any(None in shape for shape in shapes):
        return
    rng = np.random.default_rng(0)
    noise = keras.tree.map_structure(
        lambda x: ops.cast(rng.normal(size=(2, *x.shape[1:])), x.dtype), inputs
    )
    target, found = capture(student, noise, [task.at], training=False)
    source = task.head(found[task.at], training=False)
    heads = (f"source head '{task.head.name}'", f"student '{student.name}'")
    for head, values, is_logits in zip(
        heads, (source, target), task.transport.from_logits, strict=True
    ):
        if not is_logits:
            checks.probabilities(ops.convert_to_numpy(values), head)
