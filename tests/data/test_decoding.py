"""Pictures come out of files as a viewer shows them."""

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_otreg.data import picture_files, read_pictures
from keras_otreg.data.reading import decoded_file


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


RAMP = np.tile(np.linspace(0, 255, 12).astype("uint8"), (9, 1))
COLOURS = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 90)], axis=-1)
PALETTE = Image.fromarray(COLOURS).quantize(16)
LAYERED = Image.fromarray(np.dstack([COLOURS, RAMP[:, ::-1]]))
LOSSLESS = {"lossless": True}
FRAMES = {"save_all": True, "append_images": [Image.fromarray(255 - COLOURS)]}


def viewed(path):
    """Colours as Pillow alone makes them."""
    with Image.open(path) as image:
        turned = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", turned.size, "white")
    return np.asarray(Image.alpha_composite(white, turned).convert("RGB"))


@pytest.mark.parametrize(
    ("picture", "suffix", "options"),
    [
        (PALETTE, ".bmp", {}),
        (PALETTE.convert("1"), ".bmp", {}),
        (LAYERED, ".bmp", {}),
        (PALETTE, ".png", {"transparency": 3, "bits": 4}),
        (PALETTE.convert("1"), ".png", {"transparency": 0}),
        (LAYERED.convert("LA"), ".png", {}),
        (LAYERED, ".png", {}),
        (LAYERED, ".webp", LOSSLESS),
        (PALETTE.convert("RGB"), ".webp", LOSSLESS),
        (PALETTE.convert("RGB"), ".webp", {**LOSSLESS, **FRAMES}),
        (PALETTE, ".gif", {"transparency": int(np.asarray(PALETTE)[0, 0])}),
        (PALETTE, ".gif", FRAMES),
        (LAYERED.convert("CMYK"), ".tif", {}),
        (LAYERED, ".avif", {}),
    ],
)
def test_a_picture_is_decoded_as_it_is_viewed(
    tmp_path, picture, suffix, options
):
    path = tmp_path / f"picture{suffix}"
    picture.save(path, **options)
    difference = decoded_file(path).astype(int) - viewed(path)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_picture_is_upright_whatever_its_exif_says(tmp_path, suffix):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        path = tmp_path / f"{orientation}{suffix}"
        Image.fromarray(COLOURS).save(path, exif=exif)
        difference = decoded_file(path).astype(int) - viewed(path)
        assert np.abs(difference).max() <= 8


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_become_8(tmp_path, suffix):
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(RAMP.astype("uint16") * 257).save(path)
    expected = np.repeat(RAMP[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decoded_file(path), expected)


def test_a_picture_of_many_pixels_is_read(tmp_path):
    path = tmp_path / "large.jpg"
    Image.new("L", (6000, 5000), 80).save(path)
    assert decoded_file(path).shape == (5000, 6000, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_damaged_picture(tmp_path):
    path = tmp_path / "0.jpg"
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(COLOURS).save(path, exif=exif)
    content = path.read_bytes()
    start = max(content.find(b"II*\0"), content.find(b"MM\0*"))
    path.write_bytes(content[: start + 4] + b"\xff" * 4 + content[start + 8 :])
    assert decoded_file(path).shape == (9, 12, 3)
