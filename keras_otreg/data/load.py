"""The data sets of the field, ready for a pretrained network."""

import dataclasses
import functools
import os
from typing import Any

import keras
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.preprocessing import (
    NO_MODEL,
    USUAL_SIZE,
    Preparation,
    preparation_for,
)
from keras_otreg.data.records import Records, prepared
from keras_otreg.data.splits import Part, divide, fewer

# Encoded pictures that wait to be drawn from: TFDS has mixed its files.
SHUFFLED = 2048


@dataclasses.dataclass(frozen=True)
class Splits:
    """A data set in three parts.

    Attributes:
        train: A `tf.data.Dataset` of batches `(x, y)`, in a new order in each
            epoch, augmented if that was asked for: float32 pictures of shape
            `(batch, height, width, channels)` and labels of shape `(batch,)`.
        validation: Batches to choose by, always the same.
        test: Batches for the last word, always the same.
        class_names: Names of the classes, in the order of their labels.
        info: TFDS's `DatasetInfo`, with description, licence and citation.

    Example:
        ```python
        digits = otreg.data.load("otreg_optdigits", shots=5)
        model.fit(digits.train, validation_data=digits.validation)
        model.evaluate(digits.test)
        ```
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset
    class_names: list[str]
    info: Any

    @property
    def num_classes(self) -> int:
        """How many outputs a head needs."""
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
    """Loads a set of tensorflow-datasets for a pretrained network.

    It is downloaded once, into the folder of TFDS. Training, validation and
    test parts are always the same: those of the set, and what it lacks is
    taken from its training pictures, a tenth of each class for validation and,
    before that, a fifth for testing. A set that has a validation but no
    (labelled) test split, as `food101`, is tested on the former.

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

    Returns:
        `Splits` with batches of float32 pictures, of shape `(batch, height,
        width, channels)`, and int32 labels. Grey pictures get three channels
        if the network takes these.

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
        fraction = checks.number(
            fraction,
            "fraction",
            expected="a number above 0, of at most 1",
            valid=lambda x: 0.0 < x <= 1.0,
        )
    if image_size is not None:
        image_size = checks.height_and_width(image_size)
    checks.flag(crop_to_aspect_ratio, "crop_to_aspect_ratio")
    pipeline = _Pipeline(
        preparation_for(network),
        image_size,
        checks.count(batch_size, "batch_size"),
        _augmenting(augmentation),
        crop_to_aspect_ratio,
        seed,
    )
    records = prepared(name, data_dir)
    labels = functools.cache(lambda: records.labels("train"))
    parts = divide(records.splits(), labels)
    if shots is not None or fraction is not None:
        rows = fewer(parts["train"].rows, labels(), shots, fraction, seed)
        parts["train"] = Part("train", rows)
    data = {
        name: pipeline.batches(records, part, is_training=name == "train")
        for name, part in parts.items()
    }
    return Splits(**data, class_names=records.class_names, info=records.info)


@dataclasses.dataclass(frozen=True)
class _Pipeline:
    """From records to batches."""

    preparation: Preparation
    image_size: tuple[int, int] | None
    batch_size: int
    augment: keras.layers.Layer | None
    crop: bool
    seed: int

    def batches(
        self, records: Records, part: Part, is_training: bool
    ) -> tf.data.Dataset:
        """The pictures of a part; in order, if they are not to train on."""
        resize, colour = self._resizing(records), self._colouring(records)
        prepare = self.preparation.function
        augment = self.augment if is_training else None

        def read(encoded, label):
            picture = resize(records.decoded(encoded))
            return picture, tf.cast(label, tf.int32)

        def finish(pictures, labels):
            pictures = colour(pictures)
            if augment is not None:
                pictures = augment(pictures, training=True)
            pictures = tf.cast(pictures, tf.float32)
            return prepare(pictures), labels

        data = records.encoded(*part)
        if is_training:
            data = data.shuffle(SHUFFLED, seed=self.seed)
        data = data.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        data = data.batch(self.batch_size)
        pictures = data.element_spec[0]
        data = data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
        after = data.element_spec[0]
        shape, expected = getattr(after, "shape", None), pictures.shape
        if shape is None or not expected[:-1].is_compatible_with(shape[:-1]):
            raise checks.invalid(
                "a `network` whose function returns pictures of the height "
                f"and width that it is given, of shape {expected}",
                after,
                NO_MODEL,
            )
        data = data.prefetch(tf.data.AUTOTUNE)
        # As in Keras's own data sets of pictures.
        data.class_names = records.class_names
        return data

    def _resizing(self, records):
        """A layer that makes all pictures of one size."""
        size = self.image_size or self.preparation.size
        own = records.picture_shape[:2]
        if size is None:
            size = (USUAL_SIZE, USUAL_SIZE) if None in own else own
        return keras.layers.Resizing(
            *size,
            crop_to_aspect_ratio=self.crop,
            data_format="channels_last",
            dtype="float32",
        )

    def _colouring(self, records):
        """Gives pictures as many channels as the network takes."""
        channels, wanted = records.picture_shape[-1], self.preparation.channels
        if wanted in (None, channels):
            return lambda pictures: pictures
        if channels != 1:
            raise checks.invalid(
                f"pictures of 1 or {wanted} channels for a network that takes "
                f"{wanted}",
                f"{channels} channels",
                "Pass a function as `network` that makes its inputs of them.",
            )
        return lambda pictures: tf.repeat(pictures, wanted, axis=-1)


def _augmenting(layers):
    """One layer that does what all of them do, one after the other."""
    if layers is None:
        return None
    layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    if not layers:
        return None
    for layer in layers:
        checks.instance_of(
            layer,
            keras.layers.Layer,
            "augmentation",
            "a Keras preprocessing layer, or a list of them",
        )
    return keras.layers.Pipeline(layers)
