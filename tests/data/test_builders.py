import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_otreg.data import builders, letters, textures

pytest.importorskip("mlxtend")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")


class ByTFDS(tfds.testing.DatasetBuilderTestCase):
    """What TFDS asks of every builder."""

    # Nothing is downloaded, but TFDS wants to know from where.
    EXAMPLE_DIR = pathlib.Path(__file__).parent


@pytest.mark.release
class TestMnist5k(ByTFDS):
    DATASET_CLASS = builders.OtregMnist5k
    SPLITS = {"train": 4000, "test": 1000}


@pytest.mark.release
class TestOptdigits(ByTFDS):
    DATASET_CLASS = builders.OtregOptdigits
    SPLITS = {"train": 897, "test": 900}


@pytest.mark.release
class TestLetters(ByTFDS):
    DATASET_CLASS = builders.OtregLetters

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        few = letters(copies=1)
        cls.patch = pytest.MonkeyPatch()
        cls.patch.setattr(builders, "letters", lambda: few)
        # Every matplotlib has fonts of its own.
        cls.SPLITS = {"train": len(few.y)}

    @classmethod
    def tearDownClass(cls):
        cls.patch.undo()
        super().tearDownClass()


class TestTextures(ByTFDS):
    DATASET_CLASS = builders.OtregTextures
    SPLITS = {"train": 96, "test": 96}


# Or pytest would take it for a test.
del ByTFDS


def test_what_is_read_is_what_the_package_holds(tmp_path):
    pairs = tfds.load(
        "otreg_textures", data_dir=tmp_path, split="test", as_supervised=True
    )
    found = sorted((int(y), x.numpy().tobytes()) for x, y in pairs)
    _, (x, y) = textures()
    stored = np.round(255 * x).astype("uint8")
    expected = sorted(
        (int(y), x.tobytes()) for x, y in zip(stored, y, strict=True)
    )
    assert found == expected
