"""Training of networks on pictures; the epoch that is best in validation."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg import heads
from keras_otreg.data import PictureFiles, read_pictures
from keras_otreg.interpolation import best_between
from keras_otreg.labelling import solve_head_in_rounds
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.networks import without_batch_statistics
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import Trained
from keras_otreg.workflows.unlabelled import (
    PROBABILITIES,
    WEIGHTS,
    Unlabelled,
)

LOSS = "sparse_categorical_crossentropy"
# Of the task alone: `val_loss` contains penalties.
CROSSENTROPY = "crossentropy"


class Trainer:
    """Trainer of networks on the parts of a picture folder.

    `bar.watch(title, epochs)` returns a callback that shows progress. By
    `keep_statistics` batch normalisation keeps its statistics, which small
    batches of few pictures would make worse.
    """

    def __init__(
        self,
        parts: Mapping[str, PictureFiles],
        shape: tuple[int, int, int],
        settings: Settings,
        bar: Any,
        keep_statistics: bool = True,
    ):
        self.parts = parts
        self.shape = shape
        self.settings = settings
        self._bar = bar
        self._keep_statistics = keep_statistics
        self._reading: dict[str, Any] = {
            "image_size": shape[:2],
            "channels": shape[2],
            "batch_size": settings.batch_size,
            "seed": settings.seed,
        }
        self.fixed = {k: self.batches(files) for k, files in parts.items()}

    def batches(self, files: PictureFiles, **options: Any) -> Any:
        """Batches of pictures in the order of their files, by default."""
        return read_pictures(files, **self._reading, **options)

    def shuffled(self, files: PictureFiles | None = None) -> Any:
        """Batches to train on, shuffled and mirrored at random."""
        files = self.parts["train"] if files is None else files
        return self.batches(files, shuffle=True, mirror=True)

    def predictions(self, model: keras.Model) -> dict[str, np.ndarray]:
        """Predicted probabilities of validation and test pictures."""
        return {
            part: model.predict(self.fixed[part], verbose=0)
            for part in ("validation", "test")
        }

    def train(
        self,
        title: str,
        start: keras.Model,
        wrap: Callable[[keras.Model], keras.Model] = lambda student: student,
        *,
        data: Any = None,
        learning_rate: float | None = None,
    ) -> Trained:
        """Train a copy of a plain network, and return its best epoch.

        `wrap` returns the model to train, such as a `TransferModel` around the
        copy. The data are `shuffled()` and the learning rate is that of the
        settings if not given.
        """
        begin = time.perf_counter()
        settings = self.settings
        keras.utils.set_random_seed(settings.seed)
        student = copy_of(start)
        if self._keep_statistics:
            without_batch_statistics(student)
        model = wrap(student)
        crossentropy = keras.metrics.SparseCategoricalCrossentropy(CROSSENTROPY)
        model.compile(
            keras.optimizers.Adam(learning_rate or settings.learning_rate),
            LOSS,
            metrics=["accuracy", crossentropy],
        )
        best = BestEpoch(student, settings.patience)
        logs = model.fit(
            self.shuffled() if data is None else data,
            validation_data=self.fixed["validation"],
            epochs=settings.epochs,
            callbacks=[best, self._bar.watch(title, settings.epochs)],
            # A data set has its own order.
            shuffle=False,
            verbose=0,
        ).history
        history = [
            {"epoch": k + 1, **{name: float(x[k]) for name, x in logs.items()}}
            for k in range(len(logs["val_accuracy"]))
        ]
        seconds = time.perf_counter() - begin
        found = copy_of(start, student)
        return Trained(
            found, history, best.epoch, seconds, self.predictions(found)
        )

    def solve_head(self, student: keras.Model) -> Trained:
        """Solve the last layer of a network; the rest is not changed.

        The layers below run once for each picture and its mirror image.
        """
        begin = time.perf_counter()
        validation = self.fixed["validation"]
        heads.solve_head(student, self._with_mirrored(), validation=validation)
        return self.untrained(student, begin)

    def solve_in_rounds(
        self, student: keras.Model, given: Unlabelled
    ) -> Trained:
        """Solve the last layer on labelled and unlabelled pictures.

        The labels are kept beside the predictions.
        """
        begin = time.perf_counter()
        labels = solve_head_in_rounds(
            student,
            self._with_mirrored(),
            self.batches(given.files),
            shares=given.shares,
            validation=self.fixed["validation"],
        ).labels
        made = self.untrained(student, begin)
        made.predictions[PROBABILITIES] = labels.probabilities
        made.predictions[WEIGHTS] = labels.sample_weight
        return made

    def _with_mirrored(self):
        """Training pictures, and then their mirror images."""
        pictures = self.fixed["train"]
        mirrored = pictures.map(lambda x, y: (x[:, :, ::-1], y))
        return pictures.concatenate(mirrored)

    def interpolate(self, start: keras.Model, tuned: keras.Model) -> Trained:
        """Return the best network between two in validation."""
        begin = time.perf_counter()
        share, found = best_between(start, tuned, self.fixed["validation"])
        return self.untrained(found, begin, share)

    def untrained(
        self, model: keras.Model, begin: float, *share: float
    ) -> Trained:
        """Return a network that no epochs have trained; `begin` is a time."""
        seconds = time.perf_counter() - begin
        return Trained(model, [], 0, seconds, self.predictions(model), *share)


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
