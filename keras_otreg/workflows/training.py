"""Pictures of a training, and its epoch that is best in validation."""

import pathlib
from collections.abc import Mapping

import keras
import numpy as np

from keras_otreg.data import (
    PictureFiles,
    draw_pictures,
    picture_parts,
    read_pictures,
)
from keras_otreg.data.splits import check_draw
from keras_otreg.workflows.settings import Settings

LOSS = "sparse_categorical_crossentropy"
# Of the task alone: `val_loss` contains penalties.
CROSSENTROPY = "crossentropy"


class BestEpoch(keras.callbacks.Callback):
    """Callback that restores the best epoch and stops without progress.

    An epoch is better if its validation accuracy is higher or, of equal
    accuracies, its validation cross-entropy lower. The weights are those of
    `network`, such as the student in the model; `epoch` is the best, from 1.
    """

    def __init__(self, network: keras.Model, patience: int):
        super().__init__()
        self.epoch = 0
        self._network, self._patience = network, patience
        self._reached: tuple[float, float] | None = None
        self._weights: list[np.ndarray] = []

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Keep the weights if the epoch is better than all before."""
        logs = logs or {}
        reached = logs["val_accuracy"], -logs[f"val_{CROSSENTROPY}"]
        if self._reached is None or reached > self._reached:
            self.epoch, self._reached = epoch + 1, reached
            self._weights = self._network.get_weights()
        elif epoch + 1 - self.epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore the weights of the best epoch."""
        self._network.set_weights(self._weights)


def some(
    files: PictureFiles, most: int, seed: int, shape: tuple[int, int, int]
) -> tuple[PictureFiles, np.ndarray]:
    """Return at most some of the files, drawn at random, and their pictures."""
    rows = np.random.default_rng(seed).permutation(len(files.paths))[:most]
    files = files.take(np.sort(rows))
    batches = read_pictures(files, shape[:2], channels=shape[2])
    pictures = [keras.ops.convert_to_numpy(x) for x, _ in batches]
    return files, np.concatenate(pictures)


def few_pictures(
    folder: pathlib.Path, settings: Settings
) -> dict[str, PictureFiles]:
    """The parts of a folder, with `shots` training pictures of each class."""
    parts = picture_parts(folder, settings.seed)
    if settings.shots is not None:
        train = parts["train"]
        check_draw(settings.shots, train.counts(), "shots")
        parts["train"] = draw_pictures(train, settings.shots, settings.seed)
    return parts
