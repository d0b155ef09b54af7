"""Makes ready where a command writes to."""

import logging
import pathlib

from keras_otreg import checks


def ready(folder: pathlib.Path, *pictures: pathlib.Path) -> None:
    """Makes a folder, and finds out now whether it can be written to.

    It may not lie in a folder of pictures.

    Keeps TensorFlow quiet, too, which would count the models that are traced.
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
