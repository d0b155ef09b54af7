"""Values of options that several commands take."""

import argparse
import logging
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


def add_out(parser: argparse.ArgumentParser, name: str, holds: str) -> None:
    """Adds the folder that a command works in.

    Args:
        parser: Of the command.
        name: Of the folder, if none is given.
        holds: What will be in it.
    """
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path(name),
        help=f"folder for {holds} (default: {name})",
    )


def add_page(parser: argparse.ArgumentParser) -> None:
    """Adds the page of the documentation that results may be written into."""
    parser.add_argument(
        "--page",
        metavar="FILE",
        type=pathlib.Path,
        help="run nothing; write what is in --out into this Markdown page",
    )


def ready(folder: pathlib.Path) -> None:
    """Makes a folder, and finds out now whether it can be written to.

    Keeps TensorFlow quiet, too, which would count the models that are traced.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"cannot write to --out {folder}: {error.strerror}"
        raise OSError(reason) from error
