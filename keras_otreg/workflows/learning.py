"""Trains networks on pictures, and keeps the epoch that was best."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg.data import PictureFiles, read_pictures
from keras_otreg.models.copies import copy_of
from keras_otreg.workflows.findings import is_right
from keras_otreg.workflows.heads import head_of
from keras_otreg.workflows.networks import without_batch_statistics
from keras_otreg.workflows.run import Trained

LOSS = "sparse_categorical_crossentropy"
HEAD_EPOCHS, HEAD_RATE = 100, 3e-3


@dataclasses.dataclass(frozen=True)
class Settings:
    """How networks are trained.

    Attributes:
        epochs: Passes over the pictures, at most.
        patience: Epochs without a better validation accuracy that end it.
        batch_size: Pictures in a batch.
        learning_rate: Of Adam.
        seed: Of orders, mirrors and new weights.
        keep_statistics: Whether batch normalisation stays as it is: the few
            pictures of a batch know less of the means than a network that was
            trained on many.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    seed: int
    keep_statistics: bool = True

    def shown(self) -> dict[str, Any]:
        """What a reader may want to know of them."""
        names = ("learning_rate", "batch_size", "seed")
        return {k.replace("_", " "): getattr(self, k) for k in names}


class Lessons:
    """Pictures to learn from, and how they are learnt.

    Args:
        parts: Pictures for `"train"`, `"validation"` and `"test"`.
        shape: Height, width and channels of what the networks take.
        settings: How to train.
        stages: A bar, of which each epoch is a step.
    """

    def __init__(
        self,
        parts: Mapping[str, PictureFiles],
        shape: tuple[int, int, int],
        settings: Settings,
        stages: Any,
    ):
        self.parts = parts
        self.shape = shape
        self.settings = settings
        self._stages = stages
        self._reading = {
            "image_size": shape[:2],
            "channels": shape[2],
            "batch_size": settings.batch_size,
            "seed": settings.seed,
        }
        self.still = {k: self.batches(files) for k, files in parts.items()}

    def batches(self, files: PictureFiles, **how: Any) -> Any:
        """Batches of some pictures, as they are if nothing else is said."""
        return read_pictures(files, **self._reading, **how)

    def to_learn(self, files: PictureFiles | None = None) -> Any:
        """Batches to train on: in any order, at times as in a mirror."""
        files = self.parts["train"] if files is None else files
        return self.batches(files, shuffle=True, mirror=True)

    def predictions(self, model: keras.Model) -> dict[str, np.ndarray]:
        """What a network says of the pictures that it has not learnt."""
        return {
            part: model.predict(self.still[part], verbose=0)
            for part in ("validation", "test")
        }

    def learn(
        self,
        title: str,
        start: keras.Model,
        around: Callable[[keras.Model], keras.Model] = lambda student: student,
        data: Any = None,
    ) -> Trained:
        """Trains a copy of a network, and keeps the weights that were best.

        Args:
            title: Shown while it goes on.
            start: A plain network to start from, which stays as it is.
            around: Makes what is trained of the copy, such as a
                `TransferModel` around it.
            data: Batches to train on; `to_learn` if not given.

        Returns:
            The `Trained` network: as plain as `start`, and `start` itself if
            no epoch was better.
        """
        begin = time.perf_counter()
        settings = self.settings
        keras.utils.set_random_seed(settings.seed)
        student = copy_of(start)
        if settings.keep_statistics:
            without_batch_statistics(student)
        model = around(student)
        compile_for(model, settings.learning_rate)
        history = _fit(
            model,
            self.to_learn() if data is None else data,
            self.still["validation"],
            (settings.epochs, settings.patience),
            self._stages.watch(title, settings.epochs),
        )
        seconds = time.perf_counter() - begin
        best = best_epoch(history)
        found = copy_of(start, student)
        if not self._is_better(history[best - 1]["val_accuracy"], start):
            best, found = 0, start
        return Trained(found, history, best, seconds, self.predictions(found))

    def _is_better(self, reached, model):
        """Whether an accuracy is of more validation pictures than a network's.

        Accuracies that Keras logs are rounded; pictures are counted.
        """
        labels = self.parts["validation"].labels
        found = model.predict(self.still["validation"], verbose=0)
        return round(reached * len(labels)) > int(is_right(found, labels).sum())

    def learn_head(self, title: str, student: keras.Model) -> Trained:
        """Trains the last layer of a network, of which the rest stays.

        What is below runs once for each picture and for its mirror image.
        """
        begin = time.perf_counter()
        keras.utils.set_random_seed(self.settings.seed)
        head = head_of(student)
        body = keras.Model(student.input, head.input)
        x, y = _seen(body, self.still["train"])
        known = _seen(body, self.still["validation"], mirrored=False)
        alone = keras.Sequential([keras.Input(x.shape[1:]), _copy_of(head)])
        alone.set_weights(head.get_weights())
        compile_for(alone, HEAD_RATE)
        history = _fit(
            alone,
            (x, y),
            known,
            (HEAD_EPOCHS, HEAD_EPOCHS // 5),
            self._stages.watch(title, HEAD_EPOCHS),
        )
        head.set_weights(alone.get_weights())
        return Trained(
            student,
            history,
            best_epoch(history),
            time.perf_counter() - begin,
            self.predictions(student),
        )


def compile_for(model: keras.Model, learning_rate: float) -> None:
    """Compiles a model for pictures and their classes."""
    model.compile(
        keras.optimizers.Adam(learning_rate), LOSS, metrics=["accuracy"]
    )


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """The first epoch of the highest validation accuracy, from 1."""
    found = [row["val_accuracy"] for row in history]
    return int(np.argmax(found)) + 1


def stopper(patience: int) -> keras.callbacks.Callback:
    """Ends a training that gets no better, and goes back to its best."""
    return keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=patience, restore_best_weights=True
    )


def _fit(model, data, validation, limits, watch):
    """Trains; returns what was logged in each epoch."""
    x, y = data if isinstance(data, tuple) else (data, None)
    epochs, patience = limits
    found = model.fit(
        x,
        y,
        validation_data=validation,
        epochs=epochs,
        callbacks=[stopper(patience), watch],
        # A data set has its own order.
        shuffle=y is not None,
        verbose=0,
    ).history
    return [
        {"epoch": k + 1, **{name: float(found[name][k]) for name in found}}
        for k in range(len(found["val_accuracy"]))
    ]


def _seen(body, batches, mirrored=True):
    """What the last layer sees of some pictures, and their labels."""
    seen, labels = [], []
    for pictures, y in batches:
        pictures = keras.ops.convert_to_numpy(pictures)
        sides = (pictures, pictures[:, :, ::-1])[: 1 + mirrored]
        seen += [body.predict_on_batch(side) for side in sides]
        labels += [keras.ops.convert_to_numpy(y)] * len(sides)
    return np.concatenate(seen), np.concatenate(labels)


def _copy_of(layer):
    return type(layer).from_config(layer.get_config())
