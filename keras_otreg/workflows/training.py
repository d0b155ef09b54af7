"""Training of a network on pictures; the epoch that is best in validation."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg.data import PictureFiles, read_pictures

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


def fitted(
    model: keras.Model,
    student: keras.Model,
    data: Any,
    validation: Any,
    settings: Any,
    *callbacks: keras.callbacks.Callback,
) -> tuple[list[dict[str, float]], int]:
    """Train a model; the student in it ends as in its best epoch.

    Returns:
        The logs of all epochs, and the best one, from 1.
    """
    crossentropy = keras.metrics.SparseCategoricalCrossentropy(CROSSENTROPY)
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        LOSS,
        metrics=["accuracy", crossentropy],
    )
    best = BestEpoch(student, settings.patience)
    logs = model.fit(
        data,
        validation_data=validation,
        epochs=settings.epochs,
        callbacks=[best, *callbacks],
        # A data set has its own order.
        shuffle=False,
        verbose=0,
    ).history
    history = [
        {"epoch": k + 1, **{name: float(x[k]) for name, x in logs.items()}}
        for k in range(len(logs["val_accuracy"]))
    ]
    return history, best.epoch


def some(
    files: PictureFiles, most: int, seed: int, shape: tuple[int, int, int]
) -> tuple[PictureFiles, np.ndarray]:
    """Return at most some of the files, drawn at random, and their pictures."""
    rows = np.random.default_rng(seed).permutation(len(files.paths))[:most]
    files = files.take(np.sort(rows))
    batches = read_pictures(files, shape[:2], channels=shape[2])
    pictures = [keras.ops.convert_to_numpy(x) for x, _ in batches]
    return files, np.concatenate(pictures)
