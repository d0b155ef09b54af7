"""Batches of any data that `fit` takes, of one data set or two."""

from collections.abc import Callable, Mapping
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
UNLABELLED = ("labelled", "unlabelled")


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
    target = batches_of(target, "target", {"batch_size": batch_size}, seed)
    sizes = {"source_batch_size": source_batch_size, "batch_size": batch_size}
    if source_shares is None:
        source = batches_of(source, "source", sizes, seed + 1, endless=True)
    else:
        source = _drawn_batches(source, source_shares, sizes, seed + 1)
    lengths = len(target.element_spec), len(source.element_spec)
    if lengths[0] != lengths[1]:
        raise checks.invalid(
            "sample weights for both data sets or for neither",
            f"tuples of {lengths[0]} for the target and of {lengths[1]} for "
            "the source",
        )
    return side_by_side(
        target,
        source,
        ("target", "source"),
        lambda own, other: tuple(zip(own, other, strict=True)),
        # Unlabelled target samples are the target's own affair.
        of=lambda x: split(x).target,
    )


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
    sizes = {"batch_size": batch_size}
    labelled = batches_of(labelled, "labelled", sizes, seed)
    if not isinstance(unlabelled, (tuple, *BATCHED)):
        unlabelled = (unlabelled,)
    sizes = {"unlabelled_batch_size": unlabelled_batch_size, **sizes}
    unlabelled = batches_of(
        unlabelled, "unlabelled", sizes, seed + 1, endless=True, labels=False
    ).map(lambda *batch: batch[:1])
    specs = labelled.element_spec, unlabelled.element_spec
    cached = [split(x).cached is not None for x, *_ in specs]
    if cached[0] != cached[1]:
        raise checks.invalid(
            "the teacher's activations with labelled and unlabelled samples, "
            "or with neither, because both go through it together",
            f"{UNLABELLED[cached.index(True)]} samples alone have them",
            "Give the others to `keras_otreg.data.with_teacher` too.",
        )
    return side_by_side(
        labelled,
        unlabelled,
        UNLABELLED,
        lambda batch, more: (with_extra(batch[0], more[0]), *batch[1:]),
    )


def _drawn_batches(data, shares, sizes, seed):
    """Batches without end; a class is drawn by shares, then a sample of it."""
    if isinstance(data, BATCHED) or not isinstance(data, tuple):
        raise checks.invalid(
            "source data in arrays (x, y), to draw samples by their class",
            f"an object of type {type(data).__name__}",
            "Read them into arrays, or leave out `source_shares`.",
        )
    rows = checks.sample_tuple(as_tuple(data), "source")
    checks.labelled_batch(rows, "source")
    arrays = keras.tree.map_structure(tf.convert_to_tensor, rows)
    batch_size = _size_of(sizes)
    labels = class_labels(np.asarray(rows[1]))
    counts = np.unique(labels, return_counts=True)[1]
    by_class, starts = np.argsort(labels), np.cumsum(counts) - counts
    rng = np.random.default_rng(seed)

    def numbers():
        found = shares() if callable(shares) else shares
        found = np.ones(len(counts)) if found is None else found
        found = checks.class_shares(found, len(counts), "source_shares")
        while True:
            drawn = rng.choice(len(counts), batch_size, p=found)
            yield by_class[starts[drawn] + rng.integers(counts[drawn])]

    if not callable(shares):
        # Wrong shares are refused now, and not in `fit`.
        next(numbers())
    spec = tf.TensorSpec((batch_size,), tf.int64)
    drawn = tf.data.Dataset.from_generator(numbers, output_signature=spec)
    return drawn.map(
        lambda k: keras.tree.map_structure(lambda x: tf.gather(x, k), arrays)
    )


def batches_of(
    data: Any,
    name: str,
    sizes: Mapping[str, int | None],
    seed: int | None = None,
    *,
    endless: bool = False,
    labels: bool = True,
) -> tf.data.Dataset:
    """Batches of any data, in their order if there is no seed.

    For arrays, the first of some `sizes` that is given counts. They are named
    as arguments, and the first is for these data alone.
    """
    if not isinstance(data, BATCHED):
        arrays = as_tuple(data) if isinstance(data, tuple) else data
        arrays = checks.sample_tuple(arrays, name)
        rows = tf.data.Dataset.from_tensor_slices(arrays)
        if seed is not None:
            rows = rows.shuffle(len(rows), seed=seed)
        # Batches run on over the end of the rows: all are of one size.
        batches = (rows.repeat() if endless else rows).batch(_size_of(sizes))
    elif (size := next(iter(sizes.values()), None)) is not None:
        raise checks.invalid(
            f"no batch size for the {name} data, which come in batches already",
            f"batch size {size}",
            "Batch the data set itself, or pass arrays.",
        )
    else:
        batches = data
        if isinstance(data, keras.utils.PyDataset):
            batches = _from_py_dataset(data, seed)
        elif tf.NoneTensorSpec() in as_tuple(data.element_spec):
            batches = data.map(lambda *batch: as_tuple(batch))
        batches = batches.repeat() if endless else batches
    if labels:
        checks.labelled_batch(batches.element_spec, name)
    return batches


def side_by_side(
    finite: tf.data.Dataset,
    endless: tf.data.Dataset,
    names: tuple[str, str],
    join: Callable[..., Any],
    of: Callable[[Any], Any] = lambda x: x,
) -> tf.data.Dataset:
    """Join each batch of one data set with a batch of an endless one.

    Raise unless the inputs of both can go through one network; `of` finds
    those inputs in the ones of the finite data set.
    """
    specs = of(finite.element_spec[0]), endless.element_spec[0]
    one, other = (
        keras.tree.map_structure(lambda x: tuple(x.shape[1:]), spec)
        for spec in specs
    )
    if one != other:
        raise checks.invalid(
            f"{names[0]} and {names[1]} inputs of one shape, because both go "
            "through the same layers",
            f"{names[0]} {one}, {names[1]} {other}, without the batch axis",
        )
    # Without quotes, which TensorFlow would escape.
    what = (
        f"Expected {names[0]} and {names[1]} inputs of one shape in each batch,"
        " because both go through the same layers at once. Pad or resize all "
        "batches to one size: padded_batch(batch_size, padded_shapes=...). "
        "Received shapes, without the batch axis:"
    )

    def joined(first, second):
        inputs = of(first[0]), second[0]
        for pair in zip(*map(keras.tree.flatten, inputs), strict=True):
            if not pair[0].shape[1:].is_fully_defined():
                sizes = [tf.shape(x)[1:] for x in pair]
                equal = tf.reduce_all(tf.equal(*sizes))
                tf.debugging.Assert(equal, [what, *sizes])
        return join(first, second)

    both = tf.data.Dataset.zip(finite, endless).map(joined)
    return both.prefetch(tf.data.AUTOTUNE)


def as_tuple(batch: Any) -> tuple[Any, ...]:
    """A batch as Keras takes it: inputs, then labels and weights if any."""
    batch = list(batch) if isinstance(batch, (tuple, list)) else [batch]
    while len(batch) > 1 and batch[-1] is None:
        batch.pop()
    # TensorFlow would stack what is in lists.
    return keras.tree.lists_to_tuples(tuple(batch))


def _size_of(sizes):
    given = [checks.count(x, k) for k, x in sizes.items() if x is not None]
    return (*given, DEFAULT_BATCH_SIZE)[0]


def _from_py_dataset(data, seed):
    rng, size = np.random.default_rng(seed), len(data)

    def generate():
        for k in range(size) if seed is None else rng.permutation(size):
            yield as_tuple(data[int(k)])

    def spec(array):
        array = np.asarray(array)
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    specs = keras.tree.map_structure(spec, as_tuple(data[0]))
    batches = tf.data.Dataset.from_generator(generate, output_signature=specs)
    return batches.apply(tf.data.experimental.assert_cardinality(size))
