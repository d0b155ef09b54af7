"""The parts of a training batch, and how they share one forward pass."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg.features.masks import with_mask_of
from keras_otreg.features.points import weight_of_samples

# Inputs of a step that carries samples which only the penalties see.
LABELLED, UNLABELLED = "otreg_labelled", "otreg_unlabelled"
# Inputs that carry what the teacher's layers return for them.
INPUTS, TEACHER = "otreg_inputs", "otreg_teacher"


class Parts(NamedTuple):
    """Inputs of a step, in the order in which they go through the student.

    Attributes:
        target: Labelled inputs of the target task.
        unlabelled: Inputs of the target task without labels, or `None`.
        source: Labelled inputs of the source task, or `None`.
        known: Activations of the teacher for the labelled inputs and for the
            unlabelled ones, by path, as a list of one or two dictionaries.
            `None` if the inputs carry none.
    """

    target: Any
    unlabelled: Any = None
    source: Any = None
    known: Any = None

    def joined(self) -> Any:
        """All inputs of the step, one part after the other."""
        return _concatenated([self.target, self.unlabelled, self.source])

    def joined_target(self) -> Any:
        """The inputs of the target task, with labels and without."""
        return _concatenated([self.target, self.unlabelled])

    def joined_known(self) -> dict[str, Any] | None:
        """The activations that `joined_target` carries, or `None`."""
        return None if self.known is None else _concatenated(self.known)

    def labelled_rows(self, outputs: Any) -> Any:
        """The rows of the labelled target samples in outputs for `joined`."""
        if self.unlabelled is None and self.source is None:
            return outputs
        return _rows(outputs, None, batch_size(self.target))

    def target_rows(self, outputs: Any) -> Any:
        """The rows of all target samples in outputs for `joined`."""
        if self.source is None:
            return outputs
        return _rows(outputs, None, self._num_target())

    def source_rows(self, outputs: Any) -> Any:
        """The rows of the source samples in outputs for `joined`."""
        return _rows(outputs, self._num_target(), None)

    def penalty_weights(self, sample_weight: Any) -> Any:
        """Weights of the target samples in the penalties.

        Args:
            sample_weight: What `fit` was given: weights of shape `(batch,
                ...)`, averaged over all axes but the first, or a structure of
                them, one for each output, averaged too.

        Returns:
            Weights of shape `(target samples,)`, 1 for each unlabelled sample,
            or `None` where all are equal.
        """
        given = [x for x in keras.tree.flatten(sample_weight) if x is not None]
        if not given:
            return None
        weights = [ops.cast(weight_of_samples(x), "float32") for x in given]
        mean = sum(weights) / len(given)
        if self.unlabelled is None:
            return mean
        others = ops.ones((batch_size(self.unlabelled),), dtype=mean.dtype)
        return ops.concatenate([mean, others], axis=0)

    def _num_target(self):
        return batch_size(self.target) + batch_size(self.unlabelled)


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
    """Finds the parts of the inputs of a step.

    Args:
        inputs: Inputs of the target task.
        source: Inputs of the source task, or `None`.
    """
    targets = [inputs]
    if _has_keys(inputs, LABELLED, UNLABELLED):
        targets = [inputs[LABELLED], inputs[UNLABELLED]]
    known = None
    if all(_has_keys(x, INPUTS, TEACHER) for x in targets):
        known = [x[TEACHER] for x in targets]
        targets = [x[INPUTS] for x in targets]
    target, unlabelled = (*targets, None)[:2]
    return Parts(target, unlabelled, source, known)


def is_pair(inputs: Any, num_inputs: int | None) -> bool:
    """Whether some inputs are a pair of (target, source) inputs.

    Args:
        inputs: Inputs of a step.
        num_inputs: Number of tensors that the student takes.
    """
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
        return False
    return len(keras.tree.flatten(inputs[1])) == num_inputs


def split_labels(
    y: Any, sample_weight: Any, paired: bool
) -> tuple[Labels, Labels]:
    """Labels and weights of the target samples, and of the source samples.

    Args:
        y: Labels of a step, a pair of them if `paired`.
        sample_weight: Weights of a step, likewise, or `None`.
        paired: Whether the inputs of the step are a pair.
    """
    if not paired:
        return Labels(y, sample_weight), Labels(None, None)
    weights = (None, None) if sample_weight is None else sample_weight
    target, source = map(Labels, y, weights)
    return target, source


def batch_size(inputs: Any) -> Any:
    """Number of samples in some inputs; 0 for `None`."""
    if inputs is None:
        return 0
    return ops.shape(keras.tree.flatten(inputs)[0])[0]


def _has_keys(inputs, *keys):
    return isinstance(inputs, dict) and set(inputs) == set(keys)


def _concatenated(structures):
    present = [x for x in structures if x is not None]
    if len(present) == 1:
        return present[0]
    return keras.tree.map_structure(_concatenated_tensors, *present)


def _concatenated_tensors(*tensors):
    def all_masks(masks):
        rank = max(len(mask.shape) for mask in masks if mask is not None)
        return ops.concatenate(
            [
                ops.ones(ops.shape(x)[:rank], "bool") if mask is None else mask
                for x, mask in zip(tensors, masks, strict=True)
            ]
        )

    joined = ops.concatenate(tensors, axis=0)
    return with_mask_of(list(tensors), joined, all_masks)


def _rows(outputs, start, end):
    """The rows from `start` to `end` of tensors, and of their masks."""

    def rows(x):
        return with_mask_of(x, x[start:end], lambda mask: mask[start:end])

    return keras.tree.map_structure(rows, outputs)
