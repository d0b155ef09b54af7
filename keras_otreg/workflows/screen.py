"""What a person sees while networks are trained."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_otreg.demo.progress import Stages, progress


class Screen:
    """Shows how far the trainings of a command are.

    Args:
        console: A `rich.console.Console`.
        stages: The bar, of which an epoch is a step.
    """

    def __init__(self, console: Any, stages: Stages):
        self._console = console
        self._stages = stages

    def watch(self, title: str, epochs: int) -> keras.callbacks.Callback:
        """A callback for a training of at most some epochs."""
        return _Watch(self._stages, title, epochs)

    def skip(self, epochs: int) -> None:
        """Counts a training of at most some epochs as done."""
        self._stages.advance(epochs)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, highlight=False)


@contextlib.contextmanager
def screen(console: Any, epochs: int) -> Iterator[Screen]:
    """Shows a bar within the block.

    Args:
        console: A `rich.console.Console`.
        epochs: How many there are at most, of all trainings.

    Yields:
        The `Screen`.
    """
    with progress(console, epochs) as stages:
        yield Screen(console, stages)


class _Watch(keras.callbacks.Callback):
    """Moves the bar of one training, or of each trial of a search."""

    def __init__(self, stages, title, epochs):
        super().__init__()
        self._stages, self._title, self._epochs = stages, title, epochs
        self._left = epochs

    def __deepcopy__(self, memo):
        # KerasTuner copies callbacks, and a bar cannot be copied.
        return _Watch(self._stages, self._title, self._epochs)

    def on_train_begin(self, logs=None):
        self._left = self._epochs
        self._stages.begin(self._title)

    def on_epoch_end(self, epoch, logs=None):
        self._left -= 1
        self._stages.advance()
        accuracy = (logs or {}).get("val_accuracy")
        if accuracy is not None:
            self._stages.begin(f"{self._title}: validation {accuracy:.3f}")

    def on_train_end(self, logs=None):
        # It ended early.
        self._stages.advance(self._left)
