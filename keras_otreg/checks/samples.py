"""Checks of samples, of their labels and of shapes that have to fit."""

import operator
from typing import Any

import keras
import numpy as np

from keras_otreg.checks.values import finite_array, invalid

# Probabilities may miss a sum of one by this much.
ROUNDING = 1e-3
# The same for probabilities in half precision.
ROUNDING_OF_HALF = 5e-3


def same_samples(teacher: Any, student: Any) -> None:
    """Raise unless two activations are of the same samples, with units."""
    fits = len(teacher) >= 2 and len(student) >= 2
    known = fits and None not in (teacher[0], student[0])
    if not fits or (known and teacher[0] != student[0]):
        raise invalid(
            "activations of the same samples, of shapes (batch, ..., units)",
            f"shapes {tuple(teacher)} and {tuple(student)}",
        )


def equal_features(teacher: Any, student: Any) -> None:
    """Raise unless the points of two sets have equally many coordinates."""
    if teacher[-1] != student[-1]:
        raise invalid(
            "two sets of points with equally many coordinates",
            f"shapes {tuple(teacher)} and {tuple(student)}",
            "To compare layers of unequal width, compare neurons instead, with "
            "`keras_otreg.losses.RepresentationTransport`.",
        )


def equal_channels(teacher: Any, student: Any, way_out: str) -> None:
    """Raise unless two activations have equally many channels."""
    if teacher[-1] != student[-1]:
        raise invalid(
            "activations of equally many channels, because channel i is "
            "compared with channel i",
            f"shapes {tuple(teacher)} and {tuple(student)}",
            way_out,
        )


def square(shape: Any, name: str) -> None:
    """Raise unless the last two axes of a shape are of one size."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise invalid(
            "a square plan, of shape (..., n, n), in which neuron i can stay "
            "neuron i",
            f"shape {tuple(shape)}",
            argument=name,
        )


def cost_matrix(value: Any, name: str = "cost_matrix") -> Any:
    """Return a cost matrix between two sets of classes."""
    value = finite_array(_array(value), name, least_rank=2)
    if value.ndim == 2 and (value >= 0).all():
        return value
    raise invalid(
        "non-negative costs of shape (source classes, target classes)",
        f"shape {value.shape}, smallest value {value.min()}",
        argument=name,
    )


def conditional(value: Any) -> Any:
    """Return probabilities of source classes, a column per target class."""
    value = finite_array(value, "conditional", least_rank=2)
    is_one = value.ndim == 2 and (value >= 0).all()
    if is_one and np.allclose(value.sum(axis=0), 1.0, atol=1e-3):
        return value
    raise invalid(
        "probabilities of shape (source classes, target classes), whose "
        "columns sum to one",
        f"shape {value.shape}, sums of columns from "
        f"{value.sum(axis=0).min():.3g} to {value.sum(axis=0).max():.3g}",
        argument="conditional",
    )


def probabilities(values: Any, name: str) -> Any:
    """Return probabilities of samples, a row for each."""
    p = finite_array(_array(values), name, least_rank=2)
    rounding = ROUNDING
    if p.dtype.itemsize < 4:
        p, rounding = p.astype("float32"), ROUNDING_OF_HALF
    is_share = p.ndim == 2 and p.shape[1] > 1 and (p >= 0.0).all()
    if is_share and np.allclose(p.sum(axis=1), 1.0, atol=rounding):
        return p
    raise invalid(
        "probabilities of shape (samples, classes), of two or more classes, "
        "whose rows sum to 1",
        f"shape {p.shape}, values from {p.min():.3g} to {p.max():.3g}",
        "Put a softmax behind logits, and two units in place of a sigmoid.",
        argument=name,
    )


def class_shares(
    value: Any, classes: int, name: str, *, relative: bool = True
) -> Any:
    """Return shares of so many classes, of sum one, or scaled if `relative`."""
    try:
        value = np.asarray(value, float)
        received = f"{name} of shape {value.shape}, sum {value.sum():.4g}"
    except (TypeError, ValueError):
        value, received = np.empty(0), f"{value}, which are no numbers"
    total = value.sum()
    fits = value.shape == (classes,) and (value >= 0).all() and total > 0
    if fits and (np.isfinite(total) if relative else abs(total - 1) <= 1e-3):
        return value / total
    sums = "not all of them zero" if relative else "that sum to 1"
    raise invalid(
        f"shares of {classes} classes of at least 0, by sorted label, {sums}",
        received,
        "Divide numbers of samples by their sum, and write 0 for a class that "
        "is not there.",
        argument=name,
    )


def one_label_each(
    features: Any, labels: Any, name: str, least_rank: int = 2
) -> None:
    """Raise unless every sample has one label."""
    labels = np.asarray(labels)
    per_sample = labels.ndim == 1 or labels.shape[1:] == (1,)
    wrong = 0
    if labels.dtype.kind == "f":
        wrong = int((~np.isfinite(labels)).sum())
    equal = features.ndim >= least_rank and len(features) == labels.size > 0
    if wrong or not (per_sample and equal):
        raise invalid(
            f"{name} features of shape (samples, ...) and a label for each "
            "sample, shape (samples,); of one-hot labels take `y.argmax(-1)`",
            f"features of shape {features.shape} and labels of shape "
            f"{labels.shape}, {wrong} of them not finite",
        )


def labelled_batch(value: Any) -> tuple[Any, ...]:
    """Return a batch as a tuple, if it has labels."""
    if isinstance(value, (tuple, list)) and len(value) > 1:
        return tuple(value)
    raise invalid(
        "batches (x, y) or (x, y, sample_weight), of the form that `fit` gets",
        "a batch of inputs alone, without labels",
    )


def some_batches(batches: Any) -> None:
    """Raise if a data set had no batches."""
    if not batches:
        raise invalid(
            "a data set of at least one batch of (inputs, labels)",
            "an empty one",
            "A generator can be read only once: pass a data set, or a list of "
            "batches.",
        )


def sample_tuple(value: Any, name: str) -> tuple[Any, ...]:
    """Return a tuple of arrays of equally many samples."""
    if isinstance(value, tuple) and len(value) in (1, 2, 3):
        arrays = keras.tree.flatten(value)
        # An array of no axes has none.
        lengths = {operator.length_hint(x) for x in arrays}
        if len(lengths) == 1 and 0 not in lengths:
            return value
        kinds = sorted({type(x).__name__ for x in arrays})
        received = f"{kinds} of lengths {sorted(lengths)}"
    else:
        received = f"an object of type {type(value).__name__}"
    raise invalid(
        f"{name} data as a tuple (x, y) or (x, y, sample_weight) of arrays of "
        "one length, a tf.data.Dataset or a PyDataset",
        received,
    )


def _array(value):
    """Return an array, one of objects if rows are of unequal lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.empty(1, object)
