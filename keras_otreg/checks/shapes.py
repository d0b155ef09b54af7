"""Checks of shapes that have to fit each other."""

import re
from typing import Any

import keras
import numpy as np

from keras_otreg.checks.values import finite_array


def square(shape: Any, name: str) -> None:
    """Raises unless the last two axes of a shape are of one size."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a square plan, of "
            "shape (..., n, n), in which neuron i can stay neuron i. "
            f"Received: shape {tuple(shape)}"
        )


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
