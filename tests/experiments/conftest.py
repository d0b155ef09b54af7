import numpy as np
import pytest

from keras_otreg.data import Labelled


@pytest.fixture(scope="session")
def labelled():
    """Makes images that show their label by a bright row, and noise."""

    def make(copies):
        rng = np.random.default_rng(copies)
        y = np.tile(np.arange(10), copies)
        x = rng.random((len(y), 28, 28, 1)).astype("float32") / 4.0
        x[np.arange(len(y)), 2 * y + 4] += 0.5
        return Labelled(x, y)

    return make
