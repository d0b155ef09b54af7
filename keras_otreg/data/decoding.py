"""Pixels of picture files, as a viewer shows them."""

import os
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

# For these, Pillow starts another program.
OF_PROGRAMS = {"EPS", "WMF"}


def suffixes() -> set[str]:
    """Suffixes, in small letters, of the files that count as pictures."""
    return {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in OF_PROGRAMS
    }


def decoded(path: Any) -> Any:
    """Decode a file, as `decoded_file` does, in the graph of a data set."""
    pixels = tf.numpy_function(
        # Bytes in a graph, an array of them outside of one.
        lambda path: decoded_file(os.fsdecode(np.asarray(path).item())),
        [path],
        tf.uint8,
    )
    return tf.ensure_shape(pixels, (None, None, 3))


def decoded_file(path: str | os.PathLike) -> np.ndarray:
    """Colours of a file: upright, the first frame, and white behind it."""
    image: Image.Image
    with Image.open(path) as image:
        if image.format in OF_PROGRAMS or image.mode == "F":
            raise ValueError(
                "Expected pixels of whole numbers. Received: "
                f"{image.format}, mode {image.mode}"
            )
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            # Values of 16 bits, which Pillow would cut off at 255.
            pixels = np.asarray(image).astype("int64") // 257
            image = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return np.asarray(image.convert("RGB"))
