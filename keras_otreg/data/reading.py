"""Pictures as a viewer shows them, read from files into batches."""

import math
import os
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from keras_otreg import checks

# For these, Pillow starts another program.
OF_PROGRAMS = {"EPS", "WMF"}
# Pictures are kept in memory up to this many bytes.
MEMORY = 2**30


class PictureFiles(NamedTuple):
    """Paths of pictures, their labels `(pictures,)`, and the class names.

    Example:
        ```python
        files = otreg.data.picture_files("clothes/train")
        print(files.class_names, files.counts())
        some = files.take(files.first_of_each(3))
        ```
    """

    paths: list[str]
    labels: np.ndarray
    class_names: list[str]

    def take(self, rows: np.ndarray) -> "PictureFiles":
        """Some of the pictures."""
        paths = [self.paths[row] for row in rows]
        return self._replace(paths=paths, labels=self.labels[rows])

    def first_of_each(self, most: int) -> np.ndarray:
        """Rows of the first pictures of each class, so many at most."""
        classes = range(len(self.class_names))
        rows = [np.flatnonzero(self.labels == k)[:most] for k in classes]
        return np.concatenate(rows)

    def counts(self) -> dict[str, int]:
        """Number of pictures of each class."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, found.tolist(), strict=True))


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
        ValueError: If a size is not a whole number above 0, or `channels` is
            neither 1 nor 3.

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
    resize = resizing(image_size, crop_to_aspect_ratio)
    settings = shuffle, mirror, seed, MEMORY
    return read_batches(files, resize, batch_size, channels, *settings)


def read_batches(
    files, resize, batch_size, channels, shuffle, mirror, seed, memory
):
    """Batches of pictures, which are kept if they fit into memory."""
    checks.flag(shuffle, "shuffle")
    seed = checks.count(seed, "seed", least=0)
    batch_size = checks.count(batch_size, "batch_size")
    shape = (resize.height, resize.width, channels)

    def read(path, label):
        picture = decoded(path)
        if channels == 1:
            picture = tf.image.rgb_to_grayscale(picture)
        return tf.ensure_shape(resize(picture), shape), label

    def mirrored(sample, coin):
        picture, label = sample
        return tf.where(coin % 2 == 0, picture, picture[:, ::-1]), label

    count = len(files.paths)
    paths = tf.constant(files.paths, tf.string)
    data = tf.data.Dataset.from_tensor_slices((paths, files.labels))
    fits = 4 * count * math.prod(shape) <= memory
    if fits:
        data = data.map(read, tf.data.AUTOTUNE).cache()
    if shuffle and count:
        data = data.shuffle(count, seed=seed)
    if not fits:
        data = data.map(read, tf.data.AUTOTUNE)
    if mirror:
        coins = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
        data = tf.data.Dataset.zip(data, coins).map(mirrored)
    data = data.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    data.class_names = list(files.class_names)
    data.file_paths = list(files.paths)
    return data


def height_and_width(value: Any) -> tuple[int, int]:
    """Return the size of a picture."""
    sides = tuple(value) if isinstance(value, Collection) else ()
    are_sizes = [isinstance(x, int) and x > 0 for x in sides] == [True, True]
    expected = "(height, width), two whole numbers above 0"
    checks.require(are_sizes, value, "image_size", expected)
    return sides


def resizing(size: Any, crop: bool) -> keras.layers.Layer:
    """Resizing of pictures, whose margins or whose proportions are lost."""
    checks.flag(crop, "crop_to_aspect_ratio")
    kinds = {"data_format": "channels_last", "dtype": "float32"}
    size = height_and_width(size)
    return keras.layers.Resizing(*size, crop_to_aspect_ratio=crop, **kinds)


def suffixes() -> set[str]:
    """Suffixes, in small letters, of the files that count as pictures."""
    return {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in OF_PROGRAMS
    }


def decoded(path: Any) -> Any:
    """Decode a file, as `decoded_file` does, in the graph of a data set."""
    pixels = tf.numpy_function(decoded_file, [path], tf.uint8)
    return tf.ensure_shape(pixels, (None, None, 3))


def decoded_file(path: str | bytes | os.PathLike) -> np.ndarray:
    """Colours of a file: upright, the first frame, and white behind it."""
    image: Image.Image
    with Image.open(os.fsdecode(path)) as image:
        if image.format in OF_PROGRAMS or image.mode == "F":
            raise ValueError(
                "Expected pixels of whole numbers. Received: "
                f"{image.format}, mode {image.mode}"
            )
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            # Values of 16 bits, which Pillow would cut off at 255.
            pixels = np.asarray(image).astype("int64") // 257
            image = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return np.asarray(image.convert("RGB"))


def decodable(files: Sequence[str]) -> list[str]:
    """Those of some files that can be decoded, in the same order."""
    # TensorFlow takes names in UTF-8.
    files = [x for x in files if shown(x) == x and os.path.isfile(x)]
    paths = tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string))
    # It would not decode a picture of which nothing is asked.
    samples = paths.map(
        lambda path: (path, tf.shape(decoded(path))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    pairs = samples.ignore_errors().as_numpy_iterator()
    return [path.decode() for path, _ in pairs]


def shown(path: str | os.PathLike) -> str:
    """Return a path that can be printed; another one if it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
