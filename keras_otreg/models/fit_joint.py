"""Checks, before any training, that a source task fits its student."""

from typing import Any

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


def _check_probabilities(student, task, inputs):
    """Looks at what both heads say of two samples of noise."""
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
