"""Small pictures inside of a page."""

import base64
import functools
import io

import keras

from keras_otreg.data.decoding import decoded_file

SIZE = 104


@functools.lru_cache(maxsize=4096)
def thumbnail(path: str) -> str:
    """A picture as the value of `src`, square, its margins cut off."""
    # As networks are shown it: Pillow makes white of 16 bits a channel.
    pixels = keras.ops.image.resize(
        decoded_file(path),
        (SIZE, SIZE),
        crop_to_aspect_ratio=True,
        antialias=True,
    )
    picture = keras.utils.array_to_img(pixels, scale=False)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{code}"
