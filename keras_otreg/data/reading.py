"""Batches of the pictures in files."""

import math
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.decoding import decoded
from keras_otreg.data.picture_files import PictureFiles, picture_files
from keras_otreg.data.preprocessing import resizing

# Pictures are kept in memory up to this many bytes.
MEMORY = 2**30


def image_folder(
    path: str | pathlib.Path,
    image_size: tuple[int, int] = (224, 224),
    batch_size: int = 32,
    *,
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    crop_to_aspect_ratio: bool = False,
) -> tf.data.Dataset:
    """Read pictures that lie in a folder for each class.

    It finds pictures as `picture_files` does, and reads them as
    `read_pictures` does, but keeps none in memory.

    Args:
        path: A folder of folders of pictures.
        image_size: `(height, width)` that pictures are resized to.
        batch_size: Pictures in a batch.
        class_names: As for `picture_files`.
        shuffle: Whether each epoch has a new order; by path if not.
        seed: Seed of the orders.
        crop_to_aspect_ratio: Whether pictures lose their margins rather than
            their proportions.

    Returns:
        A `tf.data.Dataset` of batches of float32 pictures from 0 to 255, of
        shape `(batch, height, width, 3)`, and int32 labels. Its attributes
        `class_names` and `file_paths` are lists, in the order of paths.

    Raises:
        ValueError: As `picture_files` does, or if a size is none.

    Example:
        ```python
        train = otreg.data.image_folder("clothes/train", (128, 128))
        validation = otreg.data.image_folder(
            "clothes/validation", (128, 128), class_names=train.class_names
        )
        ```
    """
    path = checks.folder(path, "path")
    checks.flag(shuffle, "shuffle")
    read = _Reader(image_size, batch_size, seed, crop_to_aspect_ratio)
    return read.batches(picture_files(path, class_names), shuffle)


def read_pictures(
    files: PictureFiles,
    image_size: tuple[int, int],
    batch_size: int = 32,
    *,
    channels: int = 3,
    shuffle: bool = False,
    mirror: bool = False,
    seed: int = 0,
    crop_to_aspect_ratio: bool = False,
) -> tf.data.Dataset:
    """Read pictures from files, as a viewer shows them.

    They are turned as the EXIF data say, white where they are transparent,
    and of an animation the first frame. 16 bits a colour become 8.

    Args:
        files: The `PictureFiles`.
        image_size: `(height, width)` that pictures are resized to.
        batch_size: Pictures in a batch.
        channels: 3 for colours, 1 for grey.
        shuffle: Whether each epoch has a new order.
        mirror: Whether each picture is as in a mirror in half of the epochs.
        seed: Of the orders and the mirrors.
        crop_to_aspect_ratio: Whether pictures lose their margins rather than
            their proportions.

    Returns:
        A `tf.data.Dataset` of batches: float32 pictures from 0 to 255, of
        shape `(batch, height, width, channels)`, and int32 labels. Its
        attributes `class_names` and `file_paths` are those of `files`. Up to
        1 GiB of pictures are kept in memory.

    Raises:
        ValueError: If a size or the number of channels is none.

    Example:
        ```python
        files = otreg.data.picture_files("clothes/train")
        train = otreg.data.read_pictures(
            files, (160, 160), shuffle=True, mirror=True
        )
        ```
    """
    expected = "3 for colours or 1 for grey"
    checks.number(channels, "channels", expected, lambda x: x in (1, 3))
    read = _Reader(image_size, batch_size, seed, crop_to_aspect_ratio, channels)
    return read.batches(files, shuffle, mirror, MEMORY)


class _Reader:
    """Settings of a reader, which are checked before pictures are found."""

    def __init__(self, image_size, batch_size, seed, crop, channels=3):
        self._shape = (*checks.height_and_width(image_size), channels)
        self._seed = checks.count(seed, "seed", least=0)
        self._batch_size = checks.count(batch_size, "batch_size")
        self._crop = checks.flag(crop, "crop_to_aspect_ratio")

    def batches(self, files, shuffle, mirror=False, memory=0):
        """Batches that tell their classes and files, kept if they fit."""
        count = len(files.paths)

        def ordered(data):
            given = shuffle and count
            return data.shuffle(count, seed=self._seed) if given else data

        paths = tf.constant(files.paths, tf.string)
        data = tf.data.Dataset.from_tensor_slices((paths, files.labels))
        if 4 * count * math.prod(self._shape) <= memory:
            data = ordered(self._read(data).cache())
        else:
            data = self._read(ordered(data))
        if mirror:
            coins = tf.data.Dataset.random(
                self._seed, rerandomize_each_iteration=True
            )
            data = tf.data.Dataset.zip(data, coins).map(_mirrored)
        batches = data.batch(self._batch_size).prefetch(tf.data.AUTOTUNE)
        batches.class_names = list(files.class_names)
        batches.file_paths = list(files.paths)
        return batches

    def _read(self, data):
        *size, channels = self._shape
        resize = resizing(size, self._crop)

        def read(path, label):
            picture = decoded(path)
            if channels == 1:
                picture = tf.image.rgb_to_grayscale(picture)
            return tf.ensure_shape(resize(picture), self._shape), label

        return data.map(read, num_parallel_calls=tf.data.AUTOTUNE)


def _mirrored(sample, coin):
    picture, label = sample
    return tf.where(coin % 2 == 0, picture, picture[:, ::-1]), label
