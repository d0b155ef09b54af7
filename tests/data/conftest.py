import numpy as np
import pytest
import tensorflow_datasets as tfds

STARTS = {"train": 0, "validation": 100, "test": 200}
SIZES = {"train": 60, "validation": 15, "test": 30}
WITH = {
    "complete": ("train", "validation", "test"),
    "train_and_test": ("train", "test"),
    "train_and_validation": ("train", "validation"),
    "hidden_test": ("train", "validation", "test"),
    "train_only": ("train",),
    "test_only": ("test",),
}


class OtregTestNumbers(tfds.core.GeneratorBasedBuilder):
    """Pictures of three classes; the colour of each is its number."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in WITH]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(6, 8, 3)),
                    "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        names = WITH[self.builder_config.name]
        return {name: self._generate_examples(name) for name in names}

    def _generate_examples(self, split):
        hidden = split == "test" and self.builder_config.name == "hidden_test"
        for number in range(SIZES[split]):
            colour = np.full((6, 8, 3), STARTS[split] + number, "uint8")
            label = -1 if hidden else number % 3
            yield number, {"image": colour, "label": label}


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """A folder of data sets in which a picture's colour is its number."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in WITH:
        builder = OtregTestNumbers(config=name, data_dir=folder)
        builder.download_and_prepare()
    return folder
