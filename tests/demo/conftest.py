import numpy as np
import pytest

from keras_otreg.data import Labelled
from keras_otreg.demo.rows import Task
from keras_otreg.experiments.problem import Settings

LABELS = np.arange(10)


@pytest.fixture(scope="session")
def task():
    """Images that show their label by a bright row, and noise."""
    rng = np.random.default_rng(0)

    def labelled(copies):
        y = np.tile(LABELS, copies)
        x = rng.random((len(y), 28, 28, 1)).astype("float32") / 4.0
        x[np.arange(len(y)), 2 * y + 4] += 0.5
        return Labelled(x, y)

    return Task(labelled(8), labelled(2), labelled(4), labelled(3))


@pytest.fixture(scope="session")
def settings():
    """The whole demo, as small as it gets."""
    return Settings(
        seeds=2,
        seed=5,
        per_class=1,
        source_epochs=1,
        steps=4,
        points=2,
        strengths=(),
        draws=1,
        channels=(2, 4, 4),
        units=8,
    )
