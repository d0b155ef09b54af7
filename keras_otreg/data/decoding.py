"""Pixels of picture files, as a viewer shows them."""

import contextlib
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Image: Any = None
with contextlib.suppress(ImportError):
    from PIL import Image, ImageOps

# Who decodes a file: TensorFlow, TensorFlow with an alpha channel, or Pillow.
OPAQUE, TRANSPARENT, PILLOW = range(3)
OF_TENSORFLOW = {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png"}
# Of these, Pillow starts another program.
OF_PROGRAMS = {"EPS", "WMF"}
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# EXIF lies in the first segments of a file; of a WebP file, in the last.
HEAD = 2**17
ORIENTATION = 0x112


def suffixes() -> set[str]:
    """Suffixes, in small letters, of the files that count as pictures."""
    found = OF_TENSORFLOW | {".webp"}
    if Image is not None:
        found |= {
            suffix
            for suffix, kind in Image.registered_extensions().items()
            if kind in Image.OPEN and kind not in OF_PROGRAMS
        }
    return found


def can_decode(path: str | os.PathLike) -> bool:
    """Whether the decoder of a file is installed."""
    return Image is not None or inspected(path)[0] != PILLOW


def inspected(path: str | os.PathLike) -> tuple[int, int]:
    """Find out how a file is to be decoded, by its first bytes.

    TensorFlow decodes what it decodes right, and Pillow the rest: palettes of
    BMP, transparent GIF, animated WebP and all other formats.

    Args:
        path: Of the file.

    Returns:
        `OPAQUE`, `TRANSPARENT` or `PILLOW`, and the EXIF orientation from 1
        to 8. Pillow looks after the orientation itself.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
            head += file.read() if is_webp else b""
    except OSError:
        # TensorFlow will fail to read it, too.
        return OPAQUE, 1
    if head.startswith(JPEG):
        return OPAQUE, _orientation(head, b"Exif\0\0")
    if head.startswith(PNG):
        has_alpha = head[25:26] in (b"\4", b"\6")
        has_alpha = has_alpha or b"tRNS" in head.partition(b"IDAT")[0]
        decoder = TRANSPARENT if has_alpha else OPAQUE
        return decoder, _orientation(head, b"eXIf")
    if is_webp:
        return _of_webp(head), _orientation(head, b"EXIF")
    if head.startswith(b"BM"):
        # Bits of a pixel, and no compression.
        is_plain = head[28:34] in (b"\x18\0\0\0\0\0", b"\x20\0\0\0\0\0")
        return OPAQUE if is_plain else PILLOW, 1
    if head.startswith(b"GIF8"):
        control = head.find(b"!\xf9\x04")
        is_transparent = control >= 0 and head[control + 3] & 1
        return PILLOW if is_transparent else OPAQUE, 1
    return PILLOW, 1


def _of_webp(content):
    kind, flags = content[12:16], content[20:25].ljust(5, b"\0")
    if kind == b"VP8X" and flags[0] & 2:
        return PILLOW
    has_alpha = flags[0] & 16 if kind == b"VP8X" else flags[4] & 16
    return TRANSPARENT if has_alpha and kind != b"VP8 " else OPAQUE


def _orientation(content, mark):
    """The orientation that EXIF behind a mark tells, 1 if there is none."""
    start = content.find(mark)
    tiff = content[start : start + 2**16] if start >= 0 else b""
    places = [(tiff[:20].find(b"II*\0"), "<"), (tiff[:20].find(b"MM\0*"), ">")]
    start, order = max(places)
    if start < 0:
        return 1
    tiff = tiff[start:]
    try:
        (table,) = struct.unpack_from(f"{order}I", tiff, 4)
        (length,) = struct.unpack_from(f"{order}H", tiff, table)
        for row in range(length):
            tag, _, _, value = struct.unpack_from(
                f"{order}HHIH", tiff, table + 2 + 12 * row
            )
            if tag == ORIENTATION and 1 <= value <= 8:
                return value
    except struct.error:
        # Damaged, which is no reason to lose the picture.
        pass
    return 1


def decoded(path: Any, decoder: Any, orientation: Any) -> Any:
    """Decode one file in the graph of a `tf.data.Dataset`.

    Args:
        path: A string tensor.
        decoder: An int32 tensor, as of `inspected`.
        orientation: An int32 tensor, likewise.

    Returns:
        uint8 colours of shape `(height, width, 3)`: upright, the first frame
        of an animation, and white where the picture is transparent.
    """

    def by_tensorflow(channels):
        content = tf.io.read_file(path)
        return tf.io.decode_image(content, channels, expand_animations=False)

    def by_pillow():
        pixels = tf.numpy_function(_by_pillow, [path], tf.uint8)
        return tf.ensure_shape(pixels, (None, None, 3))

    pixels = tf.switch_case(
        decoder,
        [
            lambda: by_tensorflow(3),
            lambda: _on_white(by_tensorflow(4)),
            by_pillow,
        ],
    )
    return tf.cond(
        orientation == 1, lambda: pixels, lambda: _turned(pixels, orientation)
    )


def decoded_file(path: str | os.PathLike) -> np.ndarray:
    """Pixels of one file, as of `decoded`."""
    file = os.fspath(path), *inspected(path)
    return decoded(*map(tf.constant, file)).numpy()


def samples_of(paths: Sequence[str], *others: Any) -> tf.data.Dataset:
    """Samples `((path, decoder, orientation), *others)` of some files."""
    how = np.array([inspected(path) for path in paths], "int32").reshape(-1, 2)
    files = (tf.constant(paths, tf.string), how[:, 0], how[:, 1])
    return tf.data.Dataset.from_tensor_slices((files, *others))


def _on_white(pixels):
    alpha = tf.cast(pixels[..., 3:], "float32") / 255.0
    colours = tf.cast(pixels[..., :3], "float32")
    return tf.cast(tf.round(255.0 + (colours - 255.0) * alpha), "uint8")


def _turned(pixels, orientation):
    """Upright pixels; https://exiftool.org/TagNames/EXIF.html, 0x0112."""
    pixels = tf.cond(
        orientation > 4, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels
    )

    def reversed_if(pixels, orientations, axis):
        is_one = tf.reduce_any(orientation == tf.constant(orientations))
        return tf.cond(
            is_one, lambda: tf.reverse(pixels, [axis]), lambda: pixels
        )

    pixels = reversed_if(pixels, (3, 4, 7, 8), 0)
    return reversed_if(pixels, (2, 3, 6, 7), 1)


def _by_pillow(path):
    # Bytes in a graph, an array of them outside of one.
    path = os.fsdecode(np.asarray(path).item())
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
