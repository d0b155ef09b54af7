"""Values of options that several commands take."""

import argparse
import pathlib
from collections.abc import Callable


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Makes a parser of whole numbers in a range."""

    def parse(text):
        number = int(text) if text.isascii() and text.isdigit() else -1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} to {most}, not {text!r}"
        )

    return parse


def ready(folder: pathlib.Path) -> None:
    """Makes a folder, and finds out now whether it can be written to."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"cannot write to --out {folder}: {error.strerror}"
        raise OSError(reason) from error
