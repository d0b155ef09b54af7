"""Data sets of tensorflow-datasets, ready for a pretrained network."""

import dataclasses
import functools
import inspect
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_otreg import checks
from keras_otreg.data.preprocessing import (
    NO_MODEL,
    USUAL_SIZE,
    preparation_for,
)
from keras_otreg.data.reading import height_and_width, resizing
from keras_otreg.data.splits import divide, fewer

# Encoded pictures that wait to be drawn from: TFDS has mixed its files.
SHUFFLED = 2048
# Up to here TFDS, too, keeps a data set in memory.
SMALL = 250 * 2**20


@dataclasses.dataclass(frozen=True)
class Splits:
    """A data set in three parts.

    Attributes:
        train: A `tf.data.Dataset` of batches, in a new order in each epoch,
            augmented if that was asked for: float32 pictures of shape
            `(batch, height, width, channels)` and int32 labels.
        validation: Batches to choose by, always the same.
        test: Batches for the last word, always the same.
        class_names: Names of the classes, in the order of their labels.
        info: TFDS's `DatasetInfo`, with description, licence and citation.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset
    class_names: list[str]
    info: Any

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def load(
    name: str,
    network: Any = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 32,
    *,
    shots: int | None = None,
    fraction: float | None = None,
    augmentation: Any = None,
    crop_to_aspect_ratio: bool = False,
    seed: int = 0,
    data_dir: str | os.PathLike | None = None,
) -> Splits:
    """Load a set of tensorflow-datasets for a pretrained network.

    It is downloaded once, into the folder of TFDS. Training, validation and
    test parts are always the same: those of the set, and what it lacks is
    taken from its training pictures, a tenth of each class for validation and,
    before that, a fifth for testing. A set that has a validation but no
    (labelled) test split, as `food101`, is tested on the former. Grey pictures
    get three channels if the network takes these.

    Args:
        name: Such as `"stanford_dogs"`, `"eurosat/rgb"`, or `"otreg_letters"`,
            which needs no download.
        network: Whose preprocessing the pictures get: `"ResNet50"` or another
            network of `keras.applications`, or a module there, by name or
            itself; `"efficientnet-lite0"`; a function of float32 pictures,
            0 to 255, in batches; or `None`, which leaves them so.
        image_size: `(height, width)`. By default what the network was
            trained at; without one, the set's own, or 224 x 224 if it varies.
        batch_size: Pictures in a batch.
        shots: Draw so many training pictures of each class.
        fraction: Draw this share of the training pictures of each class.
        augmentation: A Keras preprocessing layer or a list of them, for
            training pictures, 0 to 255, before the network's preprocessing.
        crop_to_aspect_ratio: Whether pictures lose their margins rather than
            their proportions.
        seed: Seed of the draw and of the orders.
        data_dir: A folder of prepared sets, to read from there or download
            to; by default `~/tensorflow_datasets`.

    Raises:
        ValueError: If the set or the network is not known, the set is not one
            of pictures with a label each, or has fewer of a class than `shots`.
        OSError: If the set is not here and cannot be downloaded; it says what
            helps.

    Example:
        ```python
        data = otreg.data.load("stanford_dogs", "ResNet50", shots=10)
        head = keras.layers.Dense(data.num_classes, activation="softmax")
        model.fit(data.train, validation_data=data.validation)
        model.evaluate(data.test)
        ```
    """
    if shots is not None and fraction is not None:
        raise checks.invalid(
            "`shots` or `fraction`, not both",
            f"shots={shots!r}, fraction={fraction!r}",
        )
    shots = None if shots is None else checks.count(shots, "shots")
    if fraction is not None:
        expected = "a number above 0, of at most 1"
        checks.number(fraction, "fraction", expected, lambda x: 0.0 < x <= 1.0)
    if image_size is not None:
        image_size = height_and_width(image_size)
    batch_size = checks.count(batch_size, "batch_size")
    crop = checks.flag(crop_to_aspect_ratio, "crop_to_aspect_ratio")
    settings = preparation_for(network), image_size, batch_size, crop
    seed = checks.count(seed, "seed", least=0)
    for_training = _augmenting(augmentation), seed
    records = _prepared(name, data_dir)
    labels = functools.cache(lambda: records.labels("train"))
    parts = divide(records.splits(), labels)
    if shots is not None or fraction is not None:
        rows = fewer(parts["train"][1], labels(), shots, fraction, seed)
        parts["train"] = "train", rows
    train = _batches(records, parts.pop("train"), *settings, *for_training)
    others = {k: _batches(records, x, *settings) for k, x in parts.items()}
    names, info = records.class_names, records.info
    return Splits(train, **others, class_names=names, info=info)


def _batches(
    records, part, preparation, size, batch_size, crop, augment=None, seed=None
):
    """The pictures of a part; in order, if there is no seed."""
    *own, channels = records.picture.shape
    usual = (USUAL_SIZE, USUAL_SIZE) if None in own else own
    resize = resizing(size or preparation.size or usual, crop)
    wanted = preparation.channels or channels
    if channels not in (1, wanted):
        raise checks.invalid(
            f"pictures of 1 or {wanted} channels for a network that takes "
            f"{wanted}",
            f"{channels} channels",
            "Pass a function as `network` that makes its inputs of them.",
        )

    def read(encoded, label):
        picture = resize(records.picture.decode_example(encoded))
        return picture, tf.cast(label, tf.int32)

    def finish(pictures, labels):
        if channels != wanted:
            pictures = tf.repeat(pictures, wanted, axis=-1)
        if augment is not None:
            pictures = augment(pictures, training=True)
        return preparation.function(tf.cast(pictures, tf.float32)), labels

    data = records.encoded(*part)
    if seed is not None:
        data = data.shuffle(SHUFFLED, seed=seed)
    data = data.map(read, tf.data.AUTOTUNE).batch(batch_size)
    expected = data.element_spec[0].shape
    data = data.map(finish, tf.data.AUTOTUNE)
    shape = getattr(data.element_spec[0], "shape", None)
    if shape is None or not expected[:-1].is_compatible_with(shape[:-1]):
        raise checks.invalid(
            "a `network` whose function returns pictures of the height and "
            f"width that it is given, of shape {expected}",
            data.element_spec[0],
            NO_MODEL,
        )
    data = data.prefetch(tf.data.AUTOTUNE)
    # As in Keras's own data sets of pictures.
    data.class_names = records.class_names
    return data


def _augmenting(layers):
    """One layer that applies several layers in turn."""
    if layers is None:
        return None
    layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    expected = "a Keras preprocessing layer, or a list of them"
    for layer in layers:
        checks.instance_of(layer, keras.layers.Layer, "augmentation", expected)
    return keras.layers.Pipeline(layers) if layers else None


class _Records:
    """A data set of pictures that is on this machine.

    `keys` are the names of the features of picture and label.
    """

    def __init__(self, builder, keys):
        self.builder, self.keys, self.info = builder, keys, builder.info
        self.picture, label = (self.info.features[key] for key in keys)
        numbers = range(label.num_classes)
        self.class_names = [label.int2str(number) for number in numbers]

    def splits(self) -> list[str]:
        """Names of the splits whose labels are known."""
        names = list(self.info.splits)
        # In a competition, the labels of the test are held back as -1.
        if "test" in names and self.labels("test", 1)[0] < 0:
            names.remove("test")
        return names

    def labels(self, split: str, most: int = -1) -> np.ndarray:
        """Labels of a split, in the order of its records."""
        data = self._read(split, self.keys[1:]).take(most)
        records = data.as_numpy_iterator()
        return np.array([record[self.keys[1]] for record in records])

    def encoded(self, split: str, rows: np.ndarray | None) -> tf.data.Dataset:
        """Encoded pictures and labels, of some rows or of all."""
        image, label = self.keys
        data = self._read(split, self.keys, {image: tfds.decode.SkipDecoding()})
        data = data.map(lambda x: (x[image], x[label]))
        info = self.info.splits[split]
        size = info.num_bytes
        if rows is not None:
            size *= len(rows) / max(1, info.num_examples)
            chosen = np.isin(np.arange(rows.max() + 1), rows)
            data = data.take(len(chosen)).enumerate()
            data = data.filter(lambda number, _: tf.constant(chosen)[number])
            length = tf.data.experimental.assert_cardinality(len(rows))
            data = data.map(lambda _, record: record).apply(length)
        return data.cache() if size < SMALL else data

    def _read(self, split, keys, decoders=None):
        features = dict.fromkeys(keys, True)
        return self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(features, decoders),
            # One file after the other: rows have the same numbers always.
            read_config=tfds.ReadConfig(
                interleave_cycle_length=1, try_autocache=False
            ),
        )


def _prepared(name: str, data_dir: str | os.PathLike | None) -> _Records:
    """Find a data set on this machine, or download it."""
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise checks.invalid(
            "the name of a data set that tensorflow-datasets knows, such as "
            "'cifar10' or 'eurosat/rgb'",
            f"name={name!r}: {_first_line(error)}",
            f"{checks.near(str(name), known)}"
            "`tensorflow_datasets.list_builders()` lists all of them.",
            argument="name",
        ) from error
    keys = _keys(builder.info)
    try:
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:
        raise _unprepared(builder, error) from error
    if "train" not in builder.info.splits:
        raise checks.invalid(
            "a data set with a split 'train'",
            f"{name!r} with the splits {sorted(builder.info.splits)}",
        )
    return _Records(builder, keys)


def _keys(info):
    """Names of the features of picture and label."""
    # Another kind of set may be of no dictionary, or have nested keys.
    features = dict(getattr(info.features, "items", dict)())
    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    keys = info.supervised_keys or ("image", "label")
    found = [features.get(k) if isinstance(k, str) else None for k in keys]
    if len(found) == 2 and all(map(isinstance, found, kinds)):
        return keys
    kinds = {key: type(value).__name__ for key, value in features.items()}
    raise checks.invalid(
        "a data set of pictures with one label each",
        f"{info.name!r} with the features {kinds}",
    )


def _first_line(error):
    return (str(error).strip().splitlines() or [repr(error)])[0]


def _unprepared(builder, error):
    """The error for a data set that cannot be prepared."""
    place = pathlib.Path(builder.data_dir)
    root = pathlib.Path(builder.data_dir_root)
    by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS or (
        "What you have downloaded in a browser may lie there under the names "
        "that the files have on the server."
    )
    return OSError(
        f"Cannot prepare the data set {builder.name!r}. Expected it in "
        f"{place}, or a way to make it. Received: {type(error).__name__}: "
        f"{_first_line(error)}\nWhat helps:\n"
        f"- Download files by hand into {root / 'downloads' / 'manual'}, "
        f"TFDS's `manual_dir`. {inspect.cleandoc(by_hand)}\n"
        "- Or make the same call on a machine with a connection, and copy "
        f"what it puts there to {place}.\n"
        f"- Or pass `data_dir=`, the folder that holds "
        f"{place.relative_to(root)}, if it was prepared elsewhere."
    )
