"""The inputs of a step: their shapes, and parts in one forward pass."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.masks import with_mask_of
from keras_otreg.features.points import weight_of_samples
from keras_otreg.features.taps import input_spec

# Inputs of a step that carries samples which only the penalties see.
LABELLED, UNLABELLED = "otreg_labelled", "otreg_unlabelled"
# Inputs that carry what the teacher's layers return for them.
INPUTS, TEACHER = "otreg_inputs", "otreg_teacher"


class Parts(NamedTuple):
    """Inputs of a step, in the order in which they go through the student."""

    target: Any
    # Without labels.
    unlabelled: Any = None
    # Of the source task; left out where they have no effect.
    source: Any = None
    # Activations of the teacher by path, of target and of unlabelled inputs.
    known: Any = None
    # Whether the inputs were a pair of (target, source) inputs.
    paired: bool = False

    def labelled_rows(self, outputs: Any) -> Any:
        """The labelled target samples in outputs for all parts together."""
        if self.unlabelled is None and self.source is None:
            return outputs
        return _rows(outputs, slice(batch_size(self.target)))

    def target_rows(self, outputs: Any) -> Any:
        """All target samples in outputs for all parts together."""
        if self.source is None:
            return outputs
        return _rows(outputs, slice(self._num_target()))

    def source_rows(self, outputs: Any) -> Any:
        """The source samples in outputs for all parts together."""
        return _rows(outputs, slice(self._num_target(), None))

    def labels(self, y: Any, sample_weight: Any) -> tuple["Labels", "Labels"]:
        """Labels and weights of the target samples, and of the source's."""
        if not self.paired:
            return Labels(y, sample_weight), Labels(None, None)
        weights = (None, None) if sample_weight is None else sample_weight
        return Labels(y[0], weights[0]), Labels(y[1], weights[1])

    def penalty_weights(self, sample_weight: Any) -> Any:
        """Weights of the target samples in the penalties."""
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


def split(inputs: Any) -> Parts:
    """Finds the parts of target inputs."""
    targets = [inputs]
    if _has_keys(inputs, LABELLED, UNLABELLED):
        targets = [inputs[LABELLED], inputs[UNLABELLED]]
    known = None
    if all(_has_keys(x, INPUTS, TEACHER) for x in targets):
        known = [x[TEACHER] for x in targets]
        targets = [x[INPUTS] for x in targets]
    return Parts(*targets)._replace(known=known)


def is_pair(inputs: Any, num_inputs: int | None) -> bool:
    """Whether some inputs are a pair of (target, source) inputs."""
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
        return False
    return len(keras.tree.flatten(inputs[1])) == num_inputs


class BatchReader:
    """Finds the parts of the inputs of a step."""

    def __init__(self, num_inputs: int, source: Any):
        self._num_inputs = num_inputs
        self._source = source
        self._has_source_data = source is not None and source.has_data
        self._takes_either = False

    def read(self, inputs: Any, training: Any) -> Parts:
        """Finds the parts of the inputs of a step."""
        parts = self.parts(inputs)
        expected = bool(training) and self._has_source_data
        is_free = self._source is not None and self._takes_either
        if parts.paired != expected and not is_free:
            raise _mispaired(parts.paired)
        return parts

    def parts(self, inputs: Any) -> Parts:
        """Finds the parts of the inputs of a step, of whatever kind it is."""
        if not is_pair(inputs, self._num_inputs):
            return split(inputs)
        if self._source is None:
            return split(inputs[0])._replace(paired=True)
        source = inputs[1] if self._source.acts else None
        return split(inputs[0])._replace(source=source, paired=True)

    @contextlib.contextmanager
    def taking_either(self) -> Iterator[None]:
        """Within the block, pairs and target inputs are taken in any step."""
        self._takes_either = True
        try:
            yield
        finally:
            self._takes_either = False


class Forward(NamedTuple):
    """The student's forward pass on a step's inputs."""

    parts: Parts
    outputs: Any
    activations: dict[str, Any]


class LastForward:
    """Keeps the forward pass of a step until its end, one in each thread.

    Keras passes only the prediction from `call` to `compute_loss` and on.
    """

    def __init__(self) -> None:
        self._kept = threading.local()

    def keep(self, prediction: Any, forward: Forward) -> None:
        """Keeps the forward pass that a prediction comes from."""
        self._kept.value = (keras.tree.flatten(prediction), forward)

    def of(self, prediction: Any) -> Forward | None:
        """The forward pass of a prediction; `None` if it is not the last.

        Another prediction may come from another graph.
        """
        kept, forward = getattr(self._kept, "value", ([], None))
        same = zip(kept, keras.tree.flatten(prediction), strict=False)
        return forward if kept and all(x is y for x, y in same) else None

    def drop(self) -> None:
        """Frees the forward pass and its memory."""
        self._kept.value = ([], None)


def num_inputs(student: keras.Model) -> int | None:
    """Number of tensors that a model takes; `None` if unknown."""
    inputs = input_spec(student)
    return None if inputs is None else len(keras.tree.flatten(inputs))


def input_shapes(student: keras.Model) -> Any:
    """Shapes of what a model takes; `None` if they are not on record."""
    inputs = input_spec(student)
    if inputs is None:
        return None
    return keras.tree.map_structure(lambda x: tuple(x.shape), inputs)


class Wrapper(keras.Model):
    """A model around a network that has its inputs, and was never called."""

    # Name of the attribute that holds the network.
    inner = "network"

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "Wrapper":
        """Builds the model that `get_config` described."""
        return cls(**rebuilt(config, custom_objects))

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the prediction; see `keras.Model.export`."""
        inputs = input_spec(getattr(self, self.inner))
        if input_signature is None and inputs is not None:
            # Keras knows no inputs of a model that was never called.
            input_signature = [
                keras.tree.map_structure(
                    lambda x: keras.InputSpec(x.dtype, (None, *x.shape[1:])),
                    inputs,
                )
            ]
        super().export(filepath, format, verbose, input_signature, **kwargs)


def rebuilt(config: dict[str, Any], custom_objects: Any) -> dict[str, Any]:
    """The values of a config, with objects in place of descriptions."""
    return {
        key: keras.saving.deserialize_keras_object(value, custom_objects)
        for key, value in config.items()
    }


def batch_size(inputs: Any) -> Any:
    """Number of samples in some inputs; 0 for `None`."""
    if inputs is None:
        return 0
    return ops.shape(keras.tree.flatten(inputs)[0])[0]


def _has_keys(inputs, *keys):
    return isinstance(inputs, dict) and set(inputs) == set(keys)


def joined(*structures: Any) -> Any:
    """Structures of batches, such as inputs, one after the other."""
    present = [x for x in structures if x is not None]
    if len(present) == 1:
        return present[0]
    return keras.tree.map_structure(_joined_tensors, *present)


def _joined_tensors(*tensors):
    def all_masks(masks):
        rank = max(len(mask.shape) for mask in masks if mask is not None)
        return ops.concatenate(
            [
                ops.ones(ops.shape(x)[:rank], "bool") if mask is None else mask
                for x, mask in zip(tensors, masks, strict=True)
            ]
        )

    result = ops.concatenate(tensors, axis=0)
    return with_mask_of(list(tensors), result, all_masks)


def _rows(outputs, rows):
    """Some rows of tensors, and of their masks."""
    return keras.tree.map_structure(
        lambda x: with_mask_of(x, x[rows], lambda mask: mask[rows]), outputs
    )


def _mispaired(is_pair):
    if is_pair:
        return checks.invalid(
            "target data alone",
            "a pair of target and source inputs, which only `fit` of a model "
            "with a `source_task` takes",
            "Pass the target's half of it.",
        )
    return checks.invalid(
        "batches ((x_target, x_source), (y_target, y_source)) to train on, "
        "because the model has a source task",
        "target data alone",
        "Pair them with `keras_otreg.data.paired(target, source)`.",
    )
