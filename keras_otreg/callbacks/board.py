"""Pictures for TensorBoard."""

import pathlib
from typing import Any


class Board:
    """Writes pictures for TensorBoard to a folder.

    Args:
        folder: Where to write to; made if it is not there.
    """

    def __init__(self, folder: pathlib.Path):
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def add(self, name: str, figure: Any, epoch: int) -> None:
        """Adds a figure of `keras_otreg.plots` under a name."""
        with self._writer.as_default():
            self._summary.image(name, figure.pixels()[None], step=epoch)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
