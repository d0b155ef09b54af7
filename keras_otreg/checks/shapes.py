"""Checks of shapes that have to fit each other."""

import re
from typing import Any

import keras
import numpy as np

from keras_otreg.checks.values import finite_array


def equal_widths(teacher: int, student: int, plan: str) -> None:
    """Raises if a neuron-by-neuron plan is asked of unequal layers."""
    if teacher != student:
        raise ValueError(
            f"plan={plan!r} pairs neuron i with neuron i, and expects layers "
            f"of equal width. Received: {teacher} teacher neurons and "
            f"{student} student neurons. Use plan='transport'."
        )


def square(shape: Any, name: str) -> None:
    """Raises unless the last two axes of a shape are of one size."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a square plan, of "
            "shape (..., n, n), in which neuron i can stay neuron i. "
            f"Received: shape {tuple(shape)}"
        )


def equal_ranks(teacher: Any, student: Any) -> None:
    """Raises unless two activations have the same number of axes."""
    if len(teacher) != len(student):
        raise ValueError(
            "Expected teacher and student activations of the same rank to keep "
            f"positions. Received: shapes {tuple(teacher)} and "
            f"{tuple(student)}. Use spatial='pool', or another layer."
        )


def known_sizes(sizes: tuple[Any, Any], axis: int) -> tuple[int, int]:
    """Returns two sizes of maps if both are known."""
    if None in sizes:
        raise ValueError(
            f"Expected sizes along axis {axis} that are known when the graph "
            f"is built, to pool unequal maps. Received: {sizes}. Give the "
            "models a fixed input size, or use spatial='pool'."
        )
    return sizes


def equal_features(teacher: Any, student: Any) -> None:
    """Raises unless the points of two sets have equally many coordinates."""
    if teacher[-1] != student[-1]:
        raise ValueError(
            "Expected two sets of points with equally many coordinates. "
            f"Received: shapes {tuple(teacher)} and {tuple(student)}. To "
            "compare layers of unequal width, compare neurons instead, with "
            "`keras_otreg.losses.RepresentationTransport`."
        )


def equal_channels(teacher: Any, student: Any, remedy: str) -> None:
    """Raises unless two activations have equally many channels."""
    if teacher[-1] != student[-1]:
        raise ValueError(
            "Expected activations of equally many channels, because channel i "
            "is compared with channel i. Received: shapes "
            f"{tuple(teacher)} and {tuple(student)}. {remedy}"
        )


def some_positions(shape: Any) -> None:
    """Raises unless activations have positions between batch and channels."""
    if len(shape) < 3:
        raise ValueError(
            "Expected maps of shape (batch, ..., channels) with positions in "
            f"between. Received: shape {tuple(shape)}. Choose a layer before "
            "the pooling."
        )


def channel_weights(value: Any) -> Any:
    """Returns what each channel counts, as an array of sum one."""
    value = finite_array(value, "channel_weights", least_rank=1)
    if value.ndim == 1 and (value >= 0).all() and abs(value.sum() - 1) < 1e-3:
        return value
    raise ValueError(
        "Invalid value for argument `channel_weights`. Expected non-negative "
        f"weights of shape (channels,) and sum one. Received: shape "
        f"{value.shape}, smallest {value.min()}, sum {value.sum()}"
    )


def one_weight_per_channel(weights: Any, channels: int) -> None:
    """Raises unless there is one weight for each channel."""
    if tuple(weights) != (channels,):
        raise ValueError(
            f"Expected `channel_weights` of shape {(channels,)}, for "
            f"activations of {channels} channels. Received: shape "
            f"{tuple(weights)}. They belong to another layer."
        )


def cost_matrix(value: Any) -> Any:
    """Returns a cost matrix between two sets of classes."""
    value = finite_array(value, "cost_matrix", least_rank=2)
    if value.ndim == 2 and (value >= 0).all():
        return value
    raise ValueError(
        "Invalid value for argument `cost_matrix`. Expected non-negative "
        "costs of shape (source classes, target classes). "
        f"Received: shape {value.shape}, smallest value {value.min()}"
    )


def class_counts(costs: Any, source: Any, target: Any) -> None:
    """Raises unless a cost matrix fits two predictions."""
    if tuple(costs) != (source[-1], target[-1]):
        raise ValueError(
            "Expected a cost matrix of shape (source classes, target classes) "
            f"= {(source[-1], target[-1])}, as the two predictions have. "
            f"Received: cost_matrix of shape {tuple(costs)}"
        )


def one_label_each(
    features: Any, labels: Any, name: str, least_rank: int = 2
) -> None:
    """Raises unless every sample has one label."""
    labels = np.asarray(labels)
    per_sample = labels.ndim == 1 or labels.shape[1:] == (1,)
    equal = features.ndim >= least_rank and len(features) == labels.size > 0
    if not (per_sample and equal):
        raise ValueError(
            f"Expected {name} features of shape (samples, ...) and a label for "
            "each sample, shape (samples,); of one-hot labels take "
            "`y.argmax(-1)`. "
            f"Received: features of shape {features.shape} and labels of shape "
            f"{labels.shape}"
        )


def labelled_batches(spec: Any, name: str) -> None:
    """Raises unless a data set has batches of samples with labels."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            f"Expected {name} data of batches (x, y) or (x, y, sample_weight). "
            f"Received: {spec}"
        )


def equal_inputs(first: Any, second: Any, names: tuple[str, str]) -> None:
    """Raises unless two batches of inputs can go through one network."""
    shapes = [_sample_shapes(spec) for spec in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Expected {names[0]} and {names[1]} inputs of one shape, because "
            f"both go through the same layers. Received: {names[0]} "
            f"{shapes[0]}, {names[1]} {shapes[1]}, without the batch axis"
        )


# In an error of a data set; without quotes, which TensorFlow would escape.
UNEQUAL_SIZES = "Expected {} and {} inputs of one shape in each batch."


def joined_sizes(error: BaseException) -> None:
    """Raises in plain words if an error of a data set is of `UNEQUAL_SIZES`."""
    pattern = UNEQUAL_SIZES.format(r"(\w+)", r"(\w+)")
    found = re.search(rf"{pattern}\] \[([\d ]*)\] \[([\d ]*)\]", str(error))
    if found:
        *names, first, second = found.groups()
        raise ValueError(
            f"Expected {names[0]} and {names[1]} inputs of one shape in each "
            "batch, because both go through the same layers at once. Received: "
            f"{names[0]} ({first}), {names[1]} ({second}), without the batch "
            "axis. Pad or resize all batches to one size: "
            "`padded_batch(batch_size, padded_shapes=...)`."
        ) from error


def pairable(target: Any, source: Any) -> None:
    """Raises unless target and source batches can go through one network."""
    labelled_batches(source, "source")
    if len(target) != len(source):
        raise ValueError(
            "Expected sample weights for both data sets or for neither. "
            f"Received: tuples of {len(target)} for the target and of "
            f"{len(source)} for the source"
        )
    equal_inputs(target[0], source[0], ("target", "source"))


def _sample_shapes(specs):
    return keras.tree.map_structure(lambda x: tuple(x.shape[1:]), specs)


def same_samples(teacher: Any, student: Any) -> None:
    """Raises unless two activations are of the same samples, with units."""
    fits = len(teacher) >= 2 and len(student) >= 2
    known = None not in (teacher[0], student[0]) if fits else False
    if not fits or (known and teacher[0] != student[0]):
        raise ValueError(
            "Expected activations of the same samples, of shapes (batch, ..., "
            f"units). Received: shapes {tuple(teacher)} and {tuple(student)}"
        )


def some_units(shape: Any) -> None:
    """Raises unless activations have units behind their samples."""
    if len(shape) < 2:
        raise ValueError(
            "Expected activations of shape (batch, ..., units). Received: "
            f"shape {tuple(shape)}. Give a single unit an axis: (batch, 1)"
        )


def one_weight_each(activations: Any, weight: Any) -> None:
    """Raises unless there is one weight for each sample."""
    known = None not in (activations[0], weight[0])
    if known and activations[0] != weight[0]:
        raise ValueError(
            "Expected a `sample_weight` for each sample. Received: "
            f"{weight[0]} weights for activations of shape {tuple(activations)}"
        )


def known_shape(shape: Any) -> tuple[int, ...]:
    """Returns a shape without the batch axis if all of it is known."""
    if None not in shape:
        return tuple(shape)
    raise ValueError(
        "Expected activations whose shape is known when the graph is built, "
        "to keep their positions as coordinates. Received: (batch, *"
        f"{tuple(shape)}). Give the model a fixed input size, or use "
        "spatial='pool'."
    )


def feature_pair(teacher: Any, student: Any) -> tuple[Any, Any]:
    """Returns the features of a teacher and of a student."""
    if student is not None:
        return teacher, student
    if isinstance(teacher, (list, tuple)) and len(teacher) == 2:
        return tuple(teacher)
    raise ValueError(
        "Expected the features of a teacher and of a student, as two arguments "
        f"or as one pair. Received: {teacher!r}"
    )
