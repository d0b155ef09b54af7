"""The output folder of a command."""

import logging
import pathlib

from keras_otreg import checks


def output_folder(folder: pathlib.Path, *pictures: pathlib.Path) -> None:
    """Make a folder, and check that it can be written to.

    Also keeps TensorFlow from logging each model that it traces again.

    Args:
        folder: The folder.
        *pictures: Folders of pictures, in which it may not lie.

    Raises:
        OSError: If it cannot be written to.
        ValueError: If it lies in a folder of pictures.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for data in pictures:
        checks.outside(folder, data)
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"cannot write to --out {folder}: {error.strerror}"
        raise OSError(reason) from error
