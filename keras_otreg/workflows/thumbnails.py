"""Small pictures inside of a page."""

import base64
import functools
import io

import keras

SIZE = 104


@functools.lru_cache(maxsize=4096)
def thumbnail(path: str) -> str:
    """A picture as the value of `src`, square, its margins cut off."""
    # Some pictures have no colours, or more than three channels.
    picture = keras.utils.load_img(
        path, color_mode="rgb", target_size=(SIZE, SIZE), keep_aspect_ratio=True
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=82)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{code}"
