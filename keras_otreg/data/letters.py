"""Pictures of letters, rendered from the fonts that come with matplotlib."""

import functools
import pathlib
import string
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_otreg import checks
from keras_otreg.data.few_shot import Labelled

SIZE, GLYPH = 28, 20
NAMES = tuple(string.ascii_uppercase + string.ascii_lowercase)
# Fonts of symbols, in which letters are missing or look like others.
NOT_LETTERS = ("cmex", "cmsy", "cmmi", "Display", "LastResort", "NonUni", "Siz")


def letters(copies: int = 7, seed: int = 0) -> Labelled:
    """Render the 52 letters in every font of matplotlib.

    Each is turned, sheared and moved a little at random, on the ground of
    MNIST's digits.

    Args:
        copies: Pictures of each letter in each font.
        seed: Seed of the random changes.

    Returns:
        `Labelled` pictures, float32 in [0, 1] of shape `(n, 28, 28, 1)`, and
        int labels from 0 to 51, which `NAMES` names.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:
        ```python
        x_source, y_source = otreg.data.letters()
        ```
    """
    rng = np.random.default_rng(seed)
    pictures = [
        _varied(_glyph(font, name), rng)
        for font in _fonts()
        for name in NAMES
        for _ in range(copies)
    ]
    x = np.stack(pictures).astype("float32")[..., None] / 255.0
    labels = np.repeat(np.arange(len(NAMES)), copies)
    return Labelled(x, np.tile(labels, len(_fonts())))


def _fonts() -> list[pathlib.Path]:
    matplotlib = checks.installed("matplotlib", "demo", "Rendered letters")
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = sorted(folder.glob("*.ttf"))
    return [x for x in paths if not any(word in x.name for word in NOT_LETTERS)]


def _glyph(font: pathlib.Path, letter: str) -> Any:
    """A letter in the middle of a picture, as large as fits."""
    face = _face(font)
    canvas = Image.new("L", (200, 200))
    ImageDraw.Draw(canvas).text((50, 20), letter, fill=255, font=face)
    glyph = canvas.crop(canvas.getbbox())
    scale = GLYPH / max(glyph.size)
    size = [max(1, round(side * scale)) for side in glyph.size]
    ground = Image.new("L", (SIZE, SIZE))
    left, top = ((SIZE - side) // 2 for side in size)
    ground.paste(glyph.resize(size, Image.Resampling.LANCZOS), (left, top))
    return ground


@functools.cache
def _face(font: pathlib.Path) -> Any:
    return ImageFont.truetype(str(font), 100)


def _varied(picture: Any, rng: np.random.Generator) -> np.ndarray:
    """The picture under a small random affine map about its middle."""
    angle, shear = rng.uniform(-0.2, 0.2, size=2)
    zoom = rng.uniform(0.9, 1.2, size=2)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, sin + shear], [-sin, cos]]) * zoom[:, None]
    middle = np.full(2, (SIZE - 1) / 2)
    offset = middle - matrix @ middle + rng.uniform(-1.5, 1.5, size=2)
    entries = (*matrix[0], offset[0], *matrix[1], offset[1])
    varied = picture.transform(
        picture.size,
        Image.Transform.AFFINE,
        entries,
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(varied)
