"""The inputs of a step: their shapes, and parts in one forward pass."""

import dataclasses
import functools
import operator
import threading
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_otreg import checks
from keras_otreg.features.points import mean_of_samples
from keras_otreg.features.taps import input_spec

# Inputs of a step that carries samples which only the penalties see.
LABELLED, UNLABELLED = "otreg_labelled", "otreg_unlabelled"
# Inputs that carry what the teacher's layers return for them.
INPUTS, TEACHER = "otreg_inputs", "otreg_teacher"

is_given = functools.partial(operator.is_not, None)


class Parts(NamedTuple):
    """Inputs of a step, in the order in which they go through the student."""

    target: Any
    # Without labels.
    unlabelled: Any = None
    # Of the source task; left out where they have no effect.
    source: Any = None
    # Activations of the teacher by path, of target and of unlabelled inputs.
    cached: Any = None
    # Whether the inputs were a pair of (target, source) inputs.
    paired: bool = False
    # What the student returns for all parts, and its activations by path.
    outputs: Any = None
    activations: Any = None

    def target_rows(self, outputs: Any, labelled: bool = False) -> Any:
        """The target samples, or labelled ones, in outputs for all parts."""
        if self.source is None and (self.unlabelled is None or not labelled):
            return outputs
        size = batch_size(self.target)
        if not labelled:
            size = size + batch_size(self.unlabelled)
        return _rows(outputs, slice(size))

    def source_rows(self, outputs: Any) -> Any:
        """The source samples in outputs for all parts."""
        size = batch_size(self.target) + batch_size(self.unlabelled)
        return _rows(outputs, slice(size, None))

    def labels(self, y: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Labels and weights of the target samples, and of the source's."""
        if not self.paired:
            return (y, sample_weight), (None, None)
        weights = (None, None) if sample_weight is None else sample_weight
        target, source = zip(y, weights, strict=True)
        return target, source

    def penalty_weights(self, sample_weight: Any) -> Any:
        """Weights of the target samples in the penalties."""
        given = list(filter(is_given, keras.tree.flatten(sample_weight)))
        if not given:
            return None
        weights = [ops.cast(mean_of_samples(x), "float32") for x in given]
        mean = sum(weights) / len(given)
        if self.unlabelled is None:
            return mean
        others = ops.ones((batch_size(self.unlabelled),), dtype=mean.dtype)
        return ops.concatenate([mean, others], axis=0)


def with_extra(labelled: Any, unlabelled: Any) -> dict[str, Any]:
    """Join labelled inputs and unlabelled ones into the inputs of a step."""
    return {LABELLED: labelled, UNLABELLED: unlabelled}


def with_cached(inputs: Any, activations: dict[str, Any]) -> dict[str, Any]:
    """Join inputs and the teacher's activations for them, by path."""
    return {INPUTS: inputs, TEACHER: activations}


def split(inputs: Any) -> Parts:
    """Find the parts of target inputs."""
    targets = [inputs]
    if _has_keys(inputs, LABELLED, UNLABELLED):
        targets = [inputs[LABELLED], inputs[UNLABELLED]]
    cached = None
    if all(_has_keys(x, INPUTS, TEACHER) for x in targets):
        cached = [x[TEACHER] for x in targets]
        targets = [x[INPUTS] for x in targets]
    return Parts(*targets)._replace(cached=cached)


def is_pair(inputs: Any, num_inputs: int | None) -> bool:
    """Whether some inputs are a pair of (target, source) inputs."""
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
        return False
    return len(keras.tree.flatten(inputs[1])) == num_inputs


@dataclasses.dataclass
class BatchReader:
    """Finds the parts of the inputs of a step."""

    num_inputs: int
    source: Any
    # Whether pairs and target inputs are taken in any step.
    takes_either: bool = False

    def read(self, inputs: Any, training: bool | None = None) -> Parts:
        """Find the parts of the inputs of a step, of any kind if not given."""
        parts, task = Parts(inputs), self.source
        if is_pair(inputs, self.num_inputs):
            source = inputs[1] if task is not None and task.acts else None
            parts = split(inputs[0])._replace(source=source, paired=True)
        elif isinstance(inputs, dict):
            parts = split(inputs)
        if training is None or (task is not None and self.takes_either):
            return parts
        expected = training and task is not None and task.has_data
        if parts.paired and not expected:
            raise checks.invalid(
                "target data alone",
                "a pair of target and source inputs, which only `fit` of a "
                "model with a `source_task` takes",
                "Pass the target's half of it.",
            )
        if expected and not parts.paired:
            raise checks.invalid(
                "batches ((x_target, x_source), (y_target, y_source)) to train "
                "on, because the model has a source task",
                "target data alone",
                "Pair them with `keras_otreg.data.paired(target, source)`.",
            )
        return parts


class LastForward(threading.local):
    """The last forward pass of a thread: Keras passes the prediction alone."""

    # The tensors of the prediction, and the `Parts` that they come from.
    kept: tuple[Any, Any] = (), None

    def of(self, prediction: Any) -> Any:
        """The parts behind a prediction; `None` if it is not the last."""
        outputs, parts = self.kept
        # Another prediction may come from another graph.
        same = map(operator.is_, outputs, keras.tree.flatten(prediction))
        return parts if outputs and all(same) else None


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

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Export the prediction; see `keras.Model.export`."""
        inputs = input_spec(getattr(self, self.inner))
        is_given = len(args) > 2 or kwargs.get("input_signature") is not None
        if inputs is not None and not is_given:
            # Keras knows no inputs of a model that was never called.
            def spec(x):
                return keras.InputSpec(x.dtype, (None, *x.shape[1:]))

            specs = keras.tree.map_structure(spec, inputs)
            kwargs["input_signature"] = [specs]
        super().export(filepath, *args, **kwargs)


def batch_size(inputs: Any) -> Any:
    """Number of samples in some inputs; 0 for `None`."""
    if inputs is None:
        return 0
    return ops.shape(keras.tree.flatten(inputs)[0])[0]


def _has_keys(inputs, *keys):
    return isinstance(inputs, dict) and set(inputs) == set(keys)


def joined(*structures: Any) -> Any:
    """Structures of batches, such as inputs, one after the other."""
    present = list(filter(is_given, structures))
    if len(present) == 1:
        return present[0]
    return keras.tree.map_structure(_joined_tensors, *present)


def with_mask_of(source, tensor, change=lambda mask: mask):
    """Give a tensor the Keras mask of its source, which operations lose."""

    def mask_of(_, masks):
        some = any(map(is_given, keras.tree.flatten(masks)))
        return change(masks) if some else None

    # A layer is the public way to read and to attach masks. A name of its own
    # leaves those of the user's layers alone.
    own = {"mask": mask_of, "name": "with_mask", "autocast": False}
    return keras.layers.Lambda(lambda _: tensor, **own)(source)


def _joined_tensors(*tensors):
    def all_masks(masks):
        rank = max(len(mask.shape) for mask in masks if mask is not None)
        whole = [
            ops.ones(ops.shape(x)[:rank], "bool") if mask is None else mask
            for x, mask in zip(tensors, masks, strict=True)
        ]
        return ops.concatenate(whole)

    result = ops.concatenate(tensors, axis=0)
    return with_mask_of(list(tensors), result, all_masks)


def _rows(outputs, rows):
    """Some rows of tensors, and of their masks."""
    return keras.tree.map_structure(
        lambda x: with_mask_of(x, x[rows], lambda mask: mask[rows]), outputs
    )
