"""Checks of samples that carry what a teacher returns for them."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

WHY = "the teacher sees each sample once, and what it returns stays with it"


def some_penalties(model: Any) -> None:
    """Raises if nothing of a model reads its teacher."""
    if not model.penalties:
        raise ValueError(
            "Expected a model with penalties, because they alone read the "
            f"teacher. Received: '{model.name}' without any. Pass the data to "
            "`fit` as they are."
        )


def carried_layers(
    known: dict[str, Any], paths: Iterable[str]
) -> dict[str, Any]:
    """Returns activations if they are of the layers that penalties need."""
    missing = sorted(set(paths) - set(known))
    if missing:
        raise ValueError(
            "Expected batches that carry the activations of the teacher's "
            f"layers {sorted(set(paths))}. Received: those of {sorted(known)}, "
            f"without {missing}. Make the data anew with "
            "`keras_otreg.data.with_teacher(data, model)` for this model."
        )
    return known


def equally_known(first: bool, second: bool) -> None:
    """Raises if one part of a batch carries activations, another does not."""
    if first != second:
        raise ValueError(
            "Expected the teacher's activations with labelled and unlabelled "
            "samples, or with neither, because both go through it together. "
            f"Received: {'labelled' if first else 'unlabelled'} samples alone "
            "have them. Give the others to `keras_otreg.data.with_teacher` too."
        )


def plain_inputs(is_joined: bool) -> None:
    """Raises if the inputs of a batch are composed of several parts."""
    if is_joined:
        raise ValueError(
            "Expected batches of the target task as they are, because "
            f"{WHY}. Received: batches that were joined with unlabelled or "
            "source samples, or carry activations already. Begin with "
            "`with_teacher`: with_unlabelled(with_teacher(labelled, model), "
            "with_teacher(unlabelled, model)), paired(with_teacher(target, "
            "model), source)."
        )


def finite_passes(is_infinite: bool, why: str = WHY) -> None:
    """Raises if one pass over some data has no end."""
    if is_infinite:
        raise ValueError(
            f"Expected data whose passes end, because {why}. Received: an "
            "infinite data set. Leave out its `repeat()`; `fit(epochs=...)` "
            "repeats."
        )


def same_passes(first: str, second: str) -> None:
    """Raises unless two passes over some data gave the same samples."""
    if first != second:
        raise ValueError(
            "Expected data that give the same samples in each pass, in any "
            f"order, because {WHY}. Received: two passes that differ, {first} "
            f"and {second}. Leave out random augmentation, and a `shuffle` "
            "before `take`, or train without `with_teacher`."
        )


def array_samples(batch: Any) -> list[np.ndarray]:
    """Returns the arrays of a batch, each with a row for each sample."""
    arrays = keras.tree.flatten(batch)
    arrays = [_as_array(array) for array in arrays]
    ranks = {array.ndim for array in arrays}
    lengths = {len(array) for array in arrays if array.ndim}
    if arrays and 0 not in ranks and len(lengths) == 1:
        return arrays
    raise ValueError(
        "Expected batches of arrays that have a row for each sample. Received: "
        f"shapes {[array.shape for array in arrays]}. Batch the data set "
        "with its `batch` method."
    )


def equal_samples(shapes: Any, expected: Any) -> Any:
    """Returns the shapes and dtypes of samples if all samples have them."""
    if expected in (None, shapes):
        return shapes
    raise ValueError(
        "Expected samples of one shape, to keep them beside one another. "
        f"Received: samples of {expected} and of {shapes}, activations last. "
        "Resize or pad them first."
    )


def readable_again(data: Any, kinds: tuple[type, ...]) -> Any:
    """Returns data that can be read twice; arrays as a tuple."""
    if isinstance(data, kinds):
        return data
    rows = data if isinstance(data, tuple) else (data,)
    # A list could be several inputs, or inputs and labels.
    arrays = [] if isinstance(data, list) else keras.tree.flatten(rows)
    known = all(
        isinstance(x, np.ndarray) or keras.ops.is_tensor(x) for x in arrays
    )
    if arrays and known and len(rows) in (1, 2, 3):
        array_samples(rows)
        return rows
    received = type(data).__name__
    if isinstance(data, (tuple, list)):
        parts = ", ".join(type(x).__name__ for x in data[:4])
        received += f" of {len(data)}: {parts}"
    if isinstance(data, list):
        received += (
            ". In a list, several inputs cannot be told from inputs and "
            "labels: write (x, y), or ([x_1, x_2],) for inputs alone"
        )
    raise ValueError(
        "Expected arrays x, (x, y) or (x, y, sample_weight), a batched "
        "`tf.data.Dataset` or a `keras.utils.PyDataset`, because the data are "
        f"read more than once. Received: an object of type {received}."
    )


def steady_teacher(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> None:
    """Raises unless a teacher returned the same twice for the same samples."""
    for path, value in first.items():
        is_low = np.dtype(value.dtype).itemsize < 4
        one, other = (np.asarray(x, "float32") for x in (value, second[path]))
        # Sums in another order round differently, on a GPU above all.
        near = (0.02 if is_low else 1e-3) * np.linalg.norm(one)
        if np.array_equal(one, other, equal_nan=True):
            continue
        if not np.linalg.norm(one - other) <= near:
            raise ValueError(
                f"Expected a teacher that returns the same at '{path}' each "
                f"time, because {WHY}. Received: two results for the same "
                "samples, as of a layer that is random in inference, too. Take "
                "it out of the teacher, or train without `with_teacher`."
            )


def still_held(columns: list[Any]) -> list[Any]:
    """Returns the samples of a data set if nothing has let go of them."""
    if all(column is not None for column in columns):
        return columns
    # The one error that TensorFlow keeps quiet about where nobody reads on: an
    # iterator that is being dropped still fetches ahead.
    raise StopIteration(
        "Expected the data set of `with_teacher`, which holds the samples, or "
        "one that was made of it, to be kept while it is read. Received: what "
        "was made of it within a `tf.function`, after it is gone. Keep the "
        "data set in a variable, or make the other outside of the function."
    )


def known_teacher(expected: str, received: str, at: list[str]) -> None:
    """Raises unless a teacher has the weights of the one that data know."""
    if expected != received:
        raise ValueError(
            "Expected the teacher whose activations the data carry. Received: "
            f"a model whose teacher has other weights up to {at}. Call "
            "`keras_otreg.data.with_teacher` with this model."
        )


def known_precision(
    expected: list[str], received: list[str], at: list[str]
) -> None:
    """Raises unless a teacher computes as the one did that data know."""
    if expected != received:
        raise ValueError(
            "Expected the teacher whose activations the data carry, computed "
            f"in {expected}. Received: a model whose teacher has the same "
            f"weights and computes in {received} up to {at}. Call "
            "`keras_otreg.data.with_teacher` with this model."
        )


def _as_array(value):
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    is_array = isinstance(value, (np.ndarray, np.generic))
    if is_array and value.dtype.kind not in "OSUM":
        return np.asarray(value)
    received = f"array of {value.dtype}" if is_array else type(value).__name__
    raise ValueError(
        "Expected samples of numbers, in dense arrays. Received: an object of "
        f"type {received}. Turn text into numbers, and pad what is ragged, in "
        "the data and not in the model."
    )
