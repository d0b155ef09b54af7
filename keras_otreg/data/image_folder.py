"""Pictures of one's own, in a folder for each class."""

import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_otreg import checks

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


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
    """Reads pictures that lie in a folder for each class.

    It is `keras.utils.image_dataset_from_directory`, but pictures that cannot
    be read do not end the training: each is tried once, and those that fail
    are left out and named in a warning, as are files of another kind.

    Args:
        path: A folder of folders of `.jpg`, `.png`, `.bmp` or `.gif` files.
            The names of the inner folders, in order, are the classes.
        image_size: `(height, width)` that pictures are resized to.
        batch_size: Pictures in a batch.
        class_names: The classes, in the order of their labels, such as those
            of the training pictures: a class that has no folder here keeps its
            label. The names of the inner folders if not given.
        shuffle: Whether each epoch has a new order. Otherwise the pictures
            come in the order of their names.
        seed: Seed of the orders.
        crop_to_aspect_ratio: Whether pictures lose their margins rather than
            their proportions.

    Returns:
        A `tf.data.Dataset` of batches of float32 pictures from 0 to 255, of
        shape `(batch, height, width, 3)`, and int32 labels. Its attributes
        `class_names` and `file_paths` are lists, as in Keras; the latter
        holds the pictures that can be read.

    Raises:
        ValueError: If there is no such folder, or no pictures of at least two
            classes in it, or of classes that are not known, or if its
            folders are called `train` and `validation` or the like; if the name
            of a picture is not UTF-8, as Keras needs it; if a size is none.

    Example:
        ```python
        train = otreg.data.image_folder("clothes/train", (128, 128))
        head = keras.layers.Dense(len(train.class_names))
        validation = otreg.data.image_folder(
            "clothes/validation",
            (128, 128),
            class_names=train.class_names,
            shuffle=False,
        )
        ```
    """
    image_size = checks.height_and_width(image_size)
    batch_size = checks.count(batch_size, "batch_size")
    checks.count(seed, "seed", least=0)
    path = checks.folder(path, "path")
    folders = _classes_of(path, class_names)
    pictures = [x for x in path.glob("*/**/*") if x.suffix.lower() in SUFFIXES]
    checks.names_of_text([_shown(x) for x in pictures if not _is_text(x)])
    samples = keras.utils.image_dataset_from_directory(
        str(path),
        class_names=folders,
        batch_size=None,
        image_size=image_size,
        shuffle=shuffle,
        seed=seed,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        verbose=False,
    )
    names, files = samples.class_names, samples.file_paths
    readable = readable_files(path, files)
    if class_names is None:
        checks.several_classes(
            (pathlib.Path(x).relative_to(path).parts[0] for x in readable), path
        )
    else:
        checks.some_readable(readable, path)
        names = list(class_names)
        samples = _renumbered(samples, [names.index(name) for name in folders])
    if len(readable) < len(files):
        length = tf.data.experimental.assert_cardinality(len(readable))
        samples = samples.ignore_errors().apply(length)
    batches = samples.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    batches.class_names, batches.file_paths = names, readable
    return batches


def _classes_of(path, class_names):
    """The names of the folders, if they may be those of classes."""
    folders = sorted(
        x.name
        for x in path.iterdir()
        if x.is_dir() and not x.name.startswith(".")
    )
    if class_names is None:
        checks.several_classes(folders, path)
        checks.classes_not_parts(folders, path)
    else:
        checks.known_classes(folders, class_names, path.name)
    return folders


def _renumbered(samples, numbers):
    numbers = tf.constant(numbers, "int32")
    return samples.map(lambda x, y: (x, tf.gather(numbers, y)))


def readable_files(path: pathlib.Path, files: Sequence[str]) -> list[str]:
    """The pictures that can be read; a warning names what else there is.

    Args:
        path: The folder of the folders of classes.
        files: Paths of pictures in it, in any order.

    Returns:
        Those that TensorFlow can decode and whose names are UTF-8, in the
        same order.
    """
    readable = decodable(files)
    left_out = _left_out(path, readable)
    if left_out:
        warnings.warn(f"Left out {'; '.join(left_out)}", stacklevel=3)
    return readable


def decodable(files: Sequence[str]) -> list[str]:
    """Those of some files that TensorFlow can decode, in the same order."""
    named = [file for file in files if _is_text(file)]
    tried = tf.data.Dataset.from_tensor_slices(tf.constant(named, tf.string))
    # TensorFlow would not decode a picture of which nothing is asked.
    tried = tried.map(
        lambda file: (file, tf.shape(decoded(file))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    found = tried.ignore_errors().as_numpy_iterator()
    return [file.decode() for file, _ in found]


def decoded(file: Any) -> Any:
    """The pixels of a file, of shape `(height, width, 3)`."""
    content = tf.io.read_file(file)
    return tf.io.decode_image(content, channels=3, expand_animations=False)


def _left_out(path: pathlib.Path, readable: list[str]) -> list[str]:
    """What a folder holds beside these pictures, but for hidden files."""
    known = set(map(pathlib.Path, readable))
    used = {path / file.relative_to(path).parts[0] for file in known}
    seen = [
        file
        for file in sorted([*path.glob("*"), *path.glob("*/**/*")])
        if not any(x.startswith(".") for x in file.relative_to(path).parts)
    ]
    # A link to a file that is gone is no folder either.
    others = [x for x in seen if not x.is_dir() and x not in known]
    found = {
        "files that cannot be read as pictures": [
            x for x in others if x.parent != path
        ],
        "pictures outside of the folders of classes": [
            x
            for x in others
            if x.parent == path and x.suffix.lower() in SUFFIXES
        ],
        "folders without pictures": [
            x for x in seen if x.parent == path and x.is_dir() and x not in used
        ],
    }
    return [f"{k}: {', '.join(map(_shown, x))}" for k, x in found.items() if x]


def _is_text(path):
    """Whether a path is UTF-8, as TensorFlow takes it."""
    return _shown(path) == str(path)


def _shown(path):
    """A path that can be printed; another one if it is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
