"""Pictures as they come out of files."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_otreg.data import picture_files, read_pictures


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return tmp_path


def read(folder, channels):
    data = read_pictures(picture_files(folder), (16, 16), channels=channels)
    return next(iter(data))[0].numpy()


def test_grey_pictures_keep_their_values(folder):
    """All 256 of them, whatever kind of file they are in."""
    levels = np.arange(256, dtype="uint8").reshape(16, 16)
    for place in ("a", "b"):
        Image.fromarray(levels).save(folder / place / "grey.png")
        colours = np.repeat(levels[..., None], 3, axis=-1)
        Image.fromarray(colours).save(folder / place / "colours.png")
    found = read(folder, 1)
    assert found.shape == (4, 16, 16, 1)
    for picture in found:
        np.testing.assert_array_equal(picture[..., 0], levels)


def test_colours_become_what_they_look_like(folder):
    for place, colour in (("a", (255, 0, 0)), ("b", (0, 255, 0))):
        pixels = np.full((16, 16, 3), colour, "uint8")
        keras.utils.save_img(folder / place / "0.png", pixels, scale=False)
    red, green = read(folder, 1)
    np.testing.assert_allclose(red, 0.299 * 255, atol=1.0)
    np.testing.assert_allclose(green, 0.587 * 255, atol=1.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_counts_as_readable_is_read_in_colours_and_in_grey(
    folder, channels
):
    grey = Image.new("L", (20, 20), 100)
    for place in ("a", "b"):
        grey.convert("CMYK").save(folder / place / "cmyk.jpg")
        grey.convert("RGBA").save(folder / place / "alpha.png")
        grey.save(folder / place / "moving.gif")
        grey.convert("RGB").save(folder / place / "colours.bmp")
    found = read(folder, channels)
    assert found.shape == (8, 16, 16, channels)
    np.testing.assert_allclose(found, 100, atol=3.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": (0, 3)},
        {"image_size": 8},
        {"channels": 2},
        {"batch_size": 0},
        {"seed": -1},
    ],
    ids=str,
)
def test_sizes_that_are_none_are_refused(folder, wrong):
    for place in ("a", "b"):
        Image.new("L", (4, 4)).save(folder / place / "0.png")
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}`"):
        read_pictures(picture_files(folder), **{"image_size": (8, 8), **wrong})
