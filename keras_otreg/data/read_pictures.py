"""Reads pictures from files."""

import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.image_folder import decoded
from keras_otreg.data.picture_files import PictureFiles

# Pictures are kept in memory up to this many bytes.
MEMORY = 2**30


def read_pictures(
    files: PictureFiles,
    image_size: tuple[int, int],
    batch_size: int = 32,
    *,
    channels: int = 3,
    shuffle: bool = False,
    mirror: bool = False,
    seed: int = 0,
) -> tf.data.Dataset:
    """Reads pictures from files, as `image_folder` does.

    Args:
        files: The `PictureFiles`.
        image_size: `(height, width)` that pictures are resized to.
        batch_size: Pictures in a batch.
        channels: 3 for colours, 1 for grey.
        shuffle: Whether each epoch has a new order.
        mirror: Whether each picture is as in a mirror in half of the epochs.
        seed: Of the orders and the mirrors.

    Returns:
        A `tf.data.Dataset` of batches: float32 pictures from 0 to 255, of
        shape `(batch, height, width, channels)`, and int32 labels. Up to 1 GiB
        of pictures are kept in memory.

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
    image_size = checks.height_and_width(image_size)
    batch_size = checks.count(batch_size, "batch_size")
    checks.number(
        channels,
        "channels",
        expected="3 for colours or 1 for grey",
        valid=lambda number: number in (1, 3),
    )
    checks.count(seed, "seed", least=0)

    def read(path, label):
        picture = decoded(path)
        if channels == 1:
            # Not decoded as grey: not every file that has colours can be.
            picture = tf.image.rgb_to_grayscale(picture)
        picture = tf.image.resize(picture, image_size)
        return tf.ensure_shape(picture, (*image_size, channels)), label

    samples = tf.data.Dataset.from_tensor_slices((files.paths, files.labels))
    samples = samples.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    size = 4 * image_size[0] * image_size[1] * channels
    if len(files.paths) * size <= MEMORY:
        samples = samples.cache()
    if shuffle:
        # Enough to mix; more would fill the memory.
        ahead = min(len(files.paths), max(1, MEMORY // size))
        samples = samples.shuffle(ahead, seed=seed)
    if mirror:
        samples = _mirrored(samples, seed)
    return samples.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _mirrored(samples, seed):
    coins = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

    def toss(sample, coin):
        picture, label = sample
        return tf.where(coin % 2 == 0, picture, picture[:, ::-1]), label

    return tf.data.Dataset.zip(samples, coins).map(toss)
