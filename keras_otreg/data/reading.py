"""Batches of the pictures in files."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.decoding import decoded
from keras_otreg.data.picture_files import PictureFiles, picture_files

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
        class_names: The classes, in the order of their labels, such as those
            of the training pictures; the names of the inner folders that have
            pictures if not given.
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
    files = picture_files(path, class_names)
    order = len(files.paths) if shuffle else None
    return read.batches(files, read.samples(files, order))


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
    checks.number(
        channels,
        "channels",
        expected="3 for colours or 1 for grey",
        valid=lambda number: number in (1, 3),
    )
    read = _Reader(image_size, batch_size, seed, crop_to_aspect_ratio, channels)
    size = 4 * channels * read.image_size[0] * read.image_size[1]
    count = len(files.paths)
    order = count if shuffle else None
    if count * size <= MEMORY:
        samples = read.samples(files).cache()
        if order:
            samples = samples.shuffle(order, seed=read.seed)
    else:
        samples = read.samples(files, order)
    if mirror:
        coins = tf.data.Dataset.random(
            read.seed, rerandomize_each_iteration=True
        )
        samples = tf.data.Dataset.zip(samples, coins).map(_mirrored)
    return read.batches(files, samples)


class _Reader:
    """Reader of files into samples and batches."""

    def __init__(self, image_size, batch_size, seed, crop, channels=3):
        self.image_size = checks.height_and_width(image_size)
        self.seed = checks.count(seed, "seed", least=0)
        self._batch_size = checks.count(batch_size, "batch_size")
        self._crop = checks.flag(crop, "crop_to_aspect_ratio")
        self._channels = channels

    def samples(self, files, order=None):
        """Pictures and labels; in new orders, if `order` is their number."""
        samples = tf.data.Dataset.from_tensor_slices(
            (tf.constant(files.paths, tf.string), files.labels)
        )
        if order:
            samples = samples.shuffle(order, seed=self.seed)
        return samples.map(self._read, num_parallel_calls=tf.data.AUTOTUNE)

    def batches(self, files, samples):
        """Batches that tell their classes and files."""
        batches = samples.batch(self._batch_size).prefetch(tf.data.AUTOTUNE)
        batches.class_names = list(files.class_names)
        batches.file_paths = list(files.paths)
        return batches

    def _read(self, path, label):
        picture = decoded(path)
        if self._channels == 1:
            picture = tf.image.rgb_to_grayscale(picture)
        if self._crop:
            picture = _cropped(picture, self.image_size)
        picture = tf.image.resize(picture, self.image_size)
        shape = (*self.image_size, self._channels)
        return tf.ensure_shape(picture, shape), label


def _cropped(picture, image_size):
    """The middle of a picture, in the proportions of another size."""
    height, width = tf.unstack(tf.shape(picture)[:2])
    tall, wide = image_size
    rows = tf.clip_by_value(width * tall // wide, 1, height)
    columns = tf.clip_by_value(height * wide // tall, 1, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    return picture[top : top + rows, left : left + columns]


def _mirrored(sample, coin):
    picture, label = sample
    return tf.where(coin % 2 == 0, picture, picture[:, ::-1]), label
