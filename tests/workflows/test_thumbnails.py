import base64
import io

import numpy as np
import pytest
from PIL import Image

from keras_otreg.workflows.report import SIZE, thumbnail


def shown(path):
    code = thumbnail(str(path)).partition("base64,")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))), float)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (200, 40, 90), (200, 40, 90)),
        ("RGBA", (200, 40, 90, 255), (200, 40, 90)),
        ("L", 70, (70, 70, 70)),
        ("I;16", 70 * 257, (70, 70, 70)),
    ],
)
def test_a_picture_has_the_colours_that_networks_see(
    tmp_path, mode, colour, expected
):
    Image.new(mode, (300, 200), colour).save(tmp_path / "a.png")
    pixels = shown(tmp_path / "a.png")
    assert pixels.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(pixels.mean(axis=(0, 1)), expected, atol=3)


def test_it_is_the_middle_of_a_wide_picture(tmp_path):
    wide = np.zeros((100, 300, 3), "uint8")
    wide[:, 100:200] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert shown(tmp_path / "a.png")[:, 5:-5].min() > 200
