"""Patches of three photographs that come with scikit-image."""

import numpy as np

from keras_otreg import checks
from keras_otreg.data.few_shot import Labelled

SIZE = 64
NAMES = ("brick", "grass", "gravel")


def textures() -> tuple[Labelled, Labelled]:
    """Cut photographs of a wall, a lawn and gravel into patches.

    The left half of each is for training and the right half for testing.

    Returns:
        `(x_train, y_train), (x_test, y_test)` of 32 and 32 patches of each
        photograph, float32 in [0, 1] of shape `(n, 64, 64, 1)`, and int
        labels, which `NAMES` names.

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
    left, right = zip(
        *(_halves(getattr(photographs, name)()) for name in NAMES), strict=True
    )
    return _labelled(left), _labelled(right)


def _halves(photograph):
    """The patches of the left half, and those of the right half."""
    height, width = (side // SIZE for side in photograph.shape)
    grid = photograph.reshape(height, SIZE, width, SIZE).swapaxes(1, 2)
    grid = (grid / 255.0).astype("float32")
    middle = width // 2
    return tuple(
        half.reshape(-1, SIZE, SIZE, 1)
        for half in (grid[:, :middle], grid[:, middle:])
    )


def _labelled(patches):
    y = np.repeat(np.arange(len(patches)), [len(x) for x in patches])
    return Labelled(np.concatenate(patches), y)
