"""Batches of any data that `fit` takes, of one data set or two."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.features.batches import class_labels
from keras_otreg.models.parts import split, with_extra

DEFAULT_BATCH_SIZE = 32
# Data of these kinds come in batches already.
BATCHED = (tf.data.Dataset, keras.utils.PyDataset)
# Names of two data sets that are joined.
NAMES, UNLABELLED = ("target", "source"), ("labelled", "unlabelled")
# One more than the largest of TensorFlow's random numbers.
NUMBERS = 2.0**32


def paired(
    target: Any,
    source: Any,
    *,
    batch_size: int | None = None,
    source_batch_size: int | None = None,
    source_shares: Any = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Pair target data with source data for joint training.

    One epoch is one pass over the target. The source starts anew in each
    epoch, in a new order, and repeats if it is the shorter one.

    Args:
        target: Labelled data as of `with_unlabelled`, which also returns such.
        source: Likewise, with the labels of the source task. Shuffle a long
            `tf.data.Dataset`, or only its first batches are ever seen.
        batch_size: Target samples in a batch, for arrays; 32 if not given.
        source_batch_size: Source samples in a batch, for arrays, and all
            batches have as many; `batch_size` if not given.
        source_shares: For each source class, by sorted label, its share of
            the source samples, such as `keras_otreg.class_costs.shares`; or a
            function that returns them and is asked once in each epoch, such
            as `keras_otreg.callbacks.SourceShares`. A class is then drawn for
            each sample, and one of its samples, with replacement. Only for a
            source of arrays.
        seed: Seed of the orders of arrays.

    Returns:
        A `tf.data.Dataset` of `((x_target, x_source), (y_target, y_source))`,
        with a pair of sample weights behind if both have them.

    Raises:
        ValueError: As `with_unlabelled` does, or if one has sample weights and
            the other has not.

    Example:
        ```python
        data = otreg.data.paired((x, y), (x_source, y_source), batch_size=32)
        model.fit(data, epochs=10)
        ```
    """
    seed = checks.count(seed, "seed", least=0)
    target = finite_batches(target, batch_size, seed, "target")
    if source_shares is None:
        source = endless_batches(
            source, source_batch_size, batch_size, seed + 1, "source"
        )
    else:
        size = size_of(batch_size, DEFAULT_BATCH_SIZE, "batch_size")
        size = size_of(source_batch_size, size, "source_batch_size")
        source = _drawn_batches(source, source_shares, size, seed + 1)
    x, *others = target.element_spec
    # Unlabelled target samples are the target's own affair.
    known = (split(x).target, *others)
    check_labelled(source.element_spec, "source")
    if len(known) != len(source.element_spec):
        raise checks.invalid(
            "sample weights for both data sets or for neither",
            f"tuples of {len(known)} for the target and of "
            f"{len(source.element_spec)} for the source",
        )
    equal_inputs(known[0], source.element_spec[0], NAMES)

    def join(own, other):
        x, *labels = other
        x = with_sizes_of(split(own[0]).target, x, NAMES)
        return tuple(zip(own, (x, *labels), strict=True))

    return side_by_side(target, source, join)


def with_unlabelled(
    labelled: Any,
    unlabelled: Any,
    *,
    batch_size: int | None = None,
    unlabelled_batch_size: int | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Add unlabelled samples to each batch of labelled ones.

    The unlabelled samples go through student and teacher with the others, in
    one forward pass, and on into the penalties; never into the task's loss or
    its metrics, and a `sample_weight` is for the labelled samples alone.

    The `tf.data.Dataset` is for `TransferModel.fit`, or the target of
    `keras_otreg.data.paired`. One epoch is one pass over the labelled samples.
    The others start anew in each epoch, in a new order, and repeat if they are
    fewer.

    Args:
        labelled: `(x, y)` or `(x, y, sample_weight)` arrays, which are
            shuffled and batched here; a `keras.utils.PyDataset` of such
            batches, whose batches are shuffled; or a batched
            `tf.data.Dataset`, taken as it is.
        unlabelled: Likewise, an array `x` or batches of it. What comes behind
            `x` in a tuple, such as labels, is left out.
        batch_size: Labelled samples in a batch, for arrays; 32 if not given.
        unlabelled_batch_size: Unlabelled samples in a batch, for arrays, and
            all batches have as many; `batch_size` if not given.
        seed: Seed of the orders of arrays.

    Raises:
        ValueError: If the inputs have different structures or shapes, a batch
            size is given for data that come in batches, or it or the seed is
            no whole number.
        tf.errors.InvalidArgumentError: In `fit`, for shapes that are not known
            before a batch is read.

    Example:
        ```python
        data = otreg.data.with_unlabelled(
            (x, y), x_more, batch_size=16, unlabelled_batch_size=64
        )
        model.fit(data, epochs=10, validation_data=(x_valid, y_valid))
        ```
    """
    seed = checks.count(seed, "seed", least=0)
    labelled = finite_batches(labelled, batch_size, seed, "labelled")
    if not isinstance(unlabelled, (tuple, *BATCHED)):
        unlabelled = (unlabelled,)
    unlabelled = endless_batches(
        unlabelled, unlabelled_batch_size, batch_size, seed + 1, "unlabelled"
    ).map(lambda *batch: batch[0])
    inputs = labelled.element_spec[0], unlabelled.element_spec
    cached = [split(x).known is not None for x in inputs]
    if cached[0] != cached[1]:
        raise checks.invalid(
            "the teacher's activations with labelled and unlabelled samples, "
            "or with neither, because both go through it together",
            f"{UNLABELLED[cached.index(True)]} samples alone have them",
            "Give the others to `keras_otreg.data.with_teacher` too.",
        )
    equal_inputs(*inputs, UNLABELLED)

    def join(batch, more):
        x, *labels = batch
        return (with_extra(x, with_sizes_of(x, more, UNLABELLED)), *labels)

    return side_by_side(labelled, unlabelled, join)


def _drawn_batches(data, shares, batch_size, seed):
    """Batches without end; a class is drawn by shares, then a sample of it."""
    if isinstance(data, BATCHED) or not isinstance(data, tuple):
        raise checks.invalid(
            "source data in arrays (x, y), to draw samples by their class",
            f"an object of type {type(data).__name__}",
            "Read them into arrays, or leave out `source_shares`.",
        )
    rows = checks.sample_tuple(as_tuple(data), "source")
    ends = _ends(rows[1], shares)
    arrays = keras.tree.map_structure(tf.convert_to_tensor, rows)
    random = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    numbers = random.batch(batch_size, drop_remainder=True)

    def batches(ends):
        def batch(numbers):
            # A sample of share zero has no width: it is never found.
            places = tf.cast(numbers, tf.float64) / NUMBERS * ends[-1]
            found = tf.searchsorted(ends, places, side="right")
            return keras.tree.map_structure(
                lambda x: tf.gather(x, found), arrays
            )

        return numbers.map(batch)

    return ends.flat_map(batches)


def _ends(labels, shares):
    """A data set of one element: where the width of each sample ends."""
    _, owners, counts = np.unique(
        class_labels(np.asarray(labels)),
        return_inverse=True,
        return_counts=True,
    )

    def widths(found):
        found = np.ones(len(counts)) if found is None else found
        found = checks.class_shares(found, len(counts), "source_shares")
        return np.cumsum((found / counts)[owners])

    def asked(_):
        found = tf.numpy_function(lambda: widths(shares()), [], tf.float64)
        return tf.ensure_shape(found, owners.size)

    if callable(shares):
        return tf.data.Dataset.from_tensors(0).map(asked)
    return tf.data.Dataset.from_tensors(widths(shares))


def finite_batches(
    data: Any, batch_size: int | None, seed: int, name: str
) -> tf.data.Dataset:
    """One pass over some labelled data."""
    if isinstance(data, BATCHED):
        batches = _taken(data, batch_size, seed, name)
    else:
        size = size_of(batch_size, DEFAULT_BATCH_SIZE, "batch_size")
        batches = _rows(data, seed, name).batch(size)
    check_labelled(batches.element_spec, name)
    return batches


def endless_batches(
    data: Any, batch_size: int | None, default: int | None, seed: int, name: str
) -> tf.data.Dataset:
    """Passes over some data without end, each in a new order."""
    if isinstance(data, BATCHED):
        return _taken(data, batch_size, seed, name).repeat()
    size = size_of(default, DEFAULT_BATCH_SIZE, "batch_size")
    size = size_of(batch_size, size, f"{name}_batch_size")
    # Batches run on over the end of the rows: all are of one size.
    return _rows(data, seed, name).repeat().batch(size)


def ordered_batches(data: Any, name: str) -> tf.data.Dataset:
    """One pass over data in batches, in their order."""
    return _taken(data, None, None, name)


def check_labelled(spec: Any, name: str) -> None:
    """Raise unless a data set has batches of samples with labels."""
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        expected = f"{name} data of batches (x, y) or (x, y, sample_weight)"
        raise checks.invalid(expected, spec)


def equal_inputs(first: Any, second: Any, names: tuple[str, str]) -> None:
    """Raise unless two batches of inputs can go through one network."""
    one, other = (
        keras.tree.map_structure(lambda x: tuple(x.shape[1:]), spec)
        for spec in (first, second)
    )
    if one != other:
        raise checks.invalid(
            f"{names[0]} and {names[1]} inputs of one shape, because both go "
            "through the same layers",
            f"{names[0]} {one}, {names[1]} {other}, without the batch axis",
        )


def with_sizes_of(expected: Any, inputs: Any, names: tuple[str, str]) -> Any:
    """Checks sizes that are known only when a batch is read."""
    # Without quotes, which TensorFlow would escape.
    what = (
        f"Expected {names[0]} and {names[1]} inputs of one shape in each batch,"
        " because both go through the same layers at once. Pad or resize all "
        "batches to one size: padded_batch(batch_size, padded_shapes=...). "
        "Received shapes, without the batch axis:"
    )

    def checked(first, second):
        if first.shape[1:].is_fully_defined():
            # Compared with the others when the data set is made.
            return second
        sizes = tf.shape(first)[1:], tf.shape(second)[1:]
        equal = tf.reduce_all(tf.equal(*sizes))
        check = tf.debugging.Assert(equal, [what, *sizes])
        with tf.control_dependencies([check]):
            return tf.identity(second)

    return keras.tree.map_structure(checked, expected, inputs)


def side_by_side(
    finite: tf.data.Dataset, endless: tf.data.Dataset, join: Callable[..., Any]
) -> tf.data.Dataset:
    """Joins each batch of one data set with a batch of an endless one."""
    both = tf.data.Dataset.zip(finite, endless).map(join)
    return both.prefetch(tf.data.AUTOTUNE)


def as_tuple(batch: Any) -> tuple[Any, ...]:
    """A batch as Keras takes it: inputs, then labels and weights if any."""
    batch = batch if isinstance(batch, (tuple, list)) else (batch,)
    length = len(batch)
    while length > 1 and batch[length - 1] is None:
        length -= 1
    # TensorFlow would stack what is in lists.
    return keras.tree.lists_to_tuples(tuple(batch[:length]))


def size_of(batch_size: int | None, default: int, name: str) -> int:
    """Return a batch size, or the default if none is given."""
    return default if batch_size is None else checks.count(batch_size, name)


def _taken(data, batch_size, seed, name):
    if batch_size is not None:
        raise checks.invalid(
            f"no batch size for the {name} data, which come in batches already",
            f"batch size {batch_size}",
            "Batch the data set itself, or pass arrays.",
        )
    if isinstance(data, keras.utils.PyDataset):
        return _from_py_dataset(data, seed)
    spec = data.element_spec
    if isinstance(spec, tuple) and tf.NoneTensorSpec() in spec:
        return data.map(lambda *batch: as_tuple(batch))
    return data


def _rows(data, seed, name):
    arrays = as_tuple(data) if isinstance(data, tuple) else data
    arrays = checks.sample_tuple(arrays, name)
    rows = tf.data.Dataset.from_tensor_slices(arrays)
    return rows.shuffle(len(rows), seed=seed)


def _from_py_dataset(data, seed):
    rng = np.random.default_rng(seed)

    def batch(index):
        return as_tuple(data[int(index)])

    def generate():
        rows = range(len(data)) if seed is None else rng.permutation(len(data))
        yield from map(batch, rows)

    def spec(array):
        array = np.asarray(array)
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    specs = keras.tree.map_structure(spec, batch(0))
    batches = tf.data.Dataset.from_generator(generate, output_signature=specs)
    return batches.apply(tf.data.experimental.assert_cardinality(len(data)))
