"""Pictures of TFDS, read as they are stored, and decoded as late as can be."""

import inspect
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_otreg import checks

# Up to here TFDS, too, keeps a data set in memory.
SMALL = 250 * 2**20


class Records(NamedTuple):
    """A data set of pictures that is on this machine.

    Attributes:
        builder: What TFDS reads it with.
        image: The feature that is the picture.
        label: The feature that is its label.
    """

    builder: Any
    image: str
    label: str

    def splits(self) -> list[str]:
        """Names of the splits whose labels are known."""
        names = list(self.info.splits)
        # In a competition, the labels of the test are held back as -1.
        if "test" in names and self.labels("test", 1)[0] < 0:
            names.remove("test")
        return names

    def labels(self, split: str, most: int = -1) -> np.ndarray:
        """Labels of a split, in the order of its records."""
        data = self._read(split, {self.label: True})
        return np.array(
            [x[self.label] for x in data.take(most).as_numpy_iterator()]
        )

    def encoded(self, split: str, rows: np.ndarray | None) -> tf.data.Dataset:
        """Encoded pictures and labels, of some rows or of all."""
        asked = {self.image: True, self.label: True}
        encoded = {self.image: tfds.decode.SkipDecoding()}
        data = self._read(split, asked, encoded)
        info = self.info.splits[split]
        share = 1.0
        if rows is not None:
            share = len(rows) / max(1, info.num_examples)
            data = _chosen(data, rows)
        data = data.map(lambda x: (x[self.image], x[self.label]))
        return data.cache() if share * info.num_bytes < SMALL else data

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """A picture of shape `(height, width, channels)`."""
        return self.info.features[self.image].decode_example(encoded)

    @property
    def info(self) -> Any:
        """TFDS's description of the set."""
        return self.builder.info

    @property
    def picture_shape(self) -> tuple[int | None, ...]:
        """`(height, width, channels)`, as far as it is always the same."""
        return self.info.features[self.image].shape

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their labels."""
        label = self.info.features[self.label]
        return [label.int2str(number) for number in range(label.num_classes)]

    def _read(self, split, features, decoders=None):
        return self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(features, decoders),
            # One file after the other: rows have the same numbers always.
            read_config=tfds.ReadConfig(
                interleave_cycle_length=1, try_autocache=False
            ),
        )


def prepared(name: str, data_dir: str | os.PathLike | None) -> Records:
    """Finds a data set on this machine, or downloads it.

    Args:
        name: As TFDS calls it.
        data_dir: Where prepared sets are; TFDS's own place if `None`.

    Returns:
        Its `Records`.
    """
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
    image, label = _keys(builder.info)
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
    return Records(builder, image, label)


def _keys(info):
    """The features that are picture and label."""
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
    """The error for a data set that is not here and could not be made."""
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


def _chosen(data, rows):
    chosen = np.zeros(rows.max() + 1, bool)
    chosen[rows] = True
    data = data.take(len(chosen)).enumerate()
    data = data.filter(lambda number, _: tf.constant(chosen)[number])
    data = data.map(lambda _, record: record)
    return data.apply(tf.data.experimental.assert_cardinality(len(rows)))
