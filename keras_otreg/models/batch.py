"""The parts of a training batch: labelled samples, others, what is known."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg.features.points import weight_of_samples

# Inputs of a step that carries samples which only the penalties see.
LABELLED, UNLABELLED = "otreg_labelled", "otreg_unlabelled"
# Inputs that carry what the teacher's layers return for them.
INPUTS, TEACHER = "otreg_inputs", "otreg_teacher"


class Parts(NamedTuple):
    """Inputs of a step, in the order in which they go through the student.

    What the teacher returns for them comes last, and goes through nothing.

    Attributes:
        target: Labelled inputs of the target task.
        unlabelled: Inputs of the target task without labels, or `None`.
        source: Labelled inputs of the source task, or `None`.
        known: Activations of the teacher for the labelled inputs and for the
            others, by path, as a list of one or two dictionaries. `None` if
            the inputs carry none.
    """

    target: Any
    unlabelled: Any = None
    source: Any = None
    known: Any = None


class Labels(NamedTuple):
    """Labels of some samples, and their weights or `None`."""

    y: Any
    weights: Any


def with_extra(labelled: Any, unlabelled: Any) -> dict[str, Any]:
    """Joins labelled inputs and unlabelled ones into the inputs of a step."""
    return {LABELLED: labelled, UNLABELLED: unlabelled}


def with_known(inputs: Any, activations: dict[str, Any]) -> dict[str, Any]:
    """Joins inputs and the teacher's activations for them, by path."""
    return {INPUTS: inputs, TEACHER: activations}


def split(inputs: Any, source: Any = None) -> Parts:
    """Finds the parts of the inputs of a step."""
    targets = [inputs]
    if _has_keys(inputs, LABELLED, UNLABELLED):
        targets = [inputs[LABELLED], inputs[UNLABELLED]]
    known = None
    if all(_has_keys(x, INPUTS, TEACHER) for x in targets):
        known = [x[TEACHER] for x in targets]
        targets = [x[INPUTS] for x in targets]
    target, unlabelled = (*targets, None)[:2]
    return Parts(target, unlabelled, source, known)


def is_pair(inputs: Any, num_inputs: int) -> bool:
    """Whether some inputs are a pair of (target, source) inputs.

    Args:
        inputs: Inputs of a step.
        num_inputs: How many tensors the student takes.
    """
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
        return False
    return len(keras.tree.flatten(inputs[1])) == num_inputs


def joined(parts: Parts) -> Any:
    """All inputs of a step, one after the other."""
    return _concatenated([parts.target, parts.unlabelled, parts.source])


def joined_known(parts: Parts) -> dict[str, Any] | None:
    """What the teacher returns for all target samples, if it is known."""
    return None if parts.known is None else _concatenated(parts.known)


def batch_size(inputs: Any) -> Any:
    """How many samples some inputs hold; 0 for `None`."""
    if inputs is None:
        return 0
    return ops.shape(keras.tree.flatten(inputs)[0])[0]


def labelled_part(outputs: Any, parts: Parts) -> Any:
    """What belongs to the labelled target samples."""
    if parts.unlabelled is None and parts.source is None:
        return outputs
    return _up_to(outputs, batch_size(parts.target))


def target_part(outputs: Any, parts: Parts) -> Any:
    """What belongs to all target samples, with labels or without."""
    if parts.source is None:
        return outputs
    return _up_to(outputs, _num_target(parts))


def source_part(outputs: Any, parts: Parts) -> Any:
    """What belongs to the source samples."""
    start = _num_target(parts)
    return keras.tree.map_structure(lambda x: x[start:], outputs)


def penalty_weights(sample_weight: Any, parts: Parts) -> Any:
    """What each target sample of a step counts for in the penalties.

    Args:
        sample_weight: What `fit` was given: weights of shape `(batch, ...)`,
            averaged over all axes but the first, or a structure of them, one
            for each output, averaged too.
        parts: Inputs of the step. Unlabelled ones count 1 each.

    Returns:
        Weights of shape `(target samples,)`, or `None` where all count the
        same.
    """
    given = [x for x in keras.tree.flatten(sample_weight) if x is not None]
    if not given:
        return None
    weights = [ops.cast(weight_of_samples(x), "float32") for x in given]
    weights = sum(weights) / len(given)
    if parts.unlabelled is None:
        return weights
    others = ops.ones((batch_size(parts.unlabelled),), dtype=weights.dtype)
    return ops.concatenate([weights, others], axis=0)


def _has_keys(inputs, *keys):
    return isinstance(inputs, dict) and set(inputs) == set(keys)


def _concatenated(structures):
    present = [x for x in structures if x is not None]
    if len(present) == 1:
        return present[0]
    return keras.tree.map_structure(
        lambda *tensors: ops.concatenate(tensors, axis=0), *present
    )


def _num_target(parts):
    return batch_size(parts.target) + batch_size(parts.unlabelled)


def _up_to(outputs, end):
    return keras.tree.map_structure(lambda x: x[:end], outputs)
