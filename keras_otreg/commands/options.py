"""Values of options that several commands take."""

import argparse
import math
import pathlib
from collections.abc import Callable
from typing import Any

# Of pictures, in pixels.
SIZE = 160
PICTURES = (
    "pictures as train/<class>/, validation/<class>/ and test/<class>/, or as "
    "<class>/: what is missing is set aside"
)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Make a parser of whole numbers in a range."""

    def parse(text):
        number = int(text) if text.isascii() and text.isdigit() else -1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} to {most}, not {text!r}"
        )

    return parse


def number_above_zero(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0.0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(
        f"expected a finite number above 0, not {text!r}"
    )


def add_training(
    parser: argparse.ArgumentParser, epochs: int, patience: int, rate: float
) -> None:
    """Add how networks are trained.

    Args:
        parser: Of the command.
        epochs: How many there are at most, if nothing is said.
        patience: How many without progress end a training, if nothing is said.
        rate: The learning rate, if nothing is said.
    """
    group = parser.add_argument_group("training")
    for name, value, most, text in (
        ("epochs", epochs, 10**4, "passes over the pictures, at most"),
        ("patience", patience, 10**4, "epochs without progress in validation"),
        ("batch-size", 32, 10**4, "pictures in a batch"),
    ):
        group.add_argument(
            f"--{name}",
            metavar="N",
            type=whole_number(1, most),
            default=value,
            help=f"{text} (default: {value})",
        )
    group.add_argument(
        "--learning-rate",
        metavar="R",
        type=number_above_zero,
        default=rate,
        help=f"of Adam (default: {rate:g})",
    )


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Options by the names of the arguments of the function that works."""
    others = ("command", "debug", "refuse")
    return {k: v for k, v in vars(options).items() if k not in others}


def add_pictures(
    parser: argparse.ArgumentParser,
    name: str = "data",
    metavar: str = "DATA",
    **options: Any,
) -> None:
    """Add the folder of pictures that a command reads."""
    parser.add_argument(
        name,
        metavar=metavar,
        type=pathlib.Path,
        help=PICTURES,
        **options,
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add a trained model that a command uses."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=pathlib.Path,
        help="a model.keras, or the folder that it is in",
    )


def add_teacher(parser: argparse.ArgumentParser) -> None:
    """Add the network that a command starts from."""
    parser.add_argument(
        "--teacher",
        metavar="MODEL",
        default="efficientnet-lite0",
        help="the network to start from: efficientnet-lite0, a .keras file, or "
        "a name of keras.applications (default: efficientnet-lite0)",
    )


def add_shots(parser: argparse.ArgumentParser, size: int = SIZE) -> None:
    """Add how many pictures to learn from, and their size.

    Args:
        parser: Of the command.
        size: Of pictures, if nothing is said.
    """
    parser.add_argument(
        "--shots",
        metavar="N",
        type=whole_number(1, 10**6),
        help="draw N pictures of each class to learn from (default: all)",
    )
    add_image_size(parser, size)


def add_image_size(parser: argparse.ArgumentParser, size: int = SIZE) -> None:
    """Add the size of pictures, for networks that take any.

    Args:
        parser: Of the command.
        size: What it is if nothing is said.
    """
    parser.add_argument(
        "--image-size",
        metavar="N",
        type=whole_number(8, 4096),
        default=size,
        help="height and width of pictures, in pixels, where the network takes "
        f"any (default: {size})",
    )


def add_strength(
    parser: argparse.ArgumentParser,
    default: str = "the middle of what the library searches",
) -> None:
    """Add how strongly a method acts.

    Args:
        parser: Of the command.
        default: What it is if nothing is said.
    """
    parser.add_argument(
        "--weight",
        metavar="W",
        type=number_above_zero,
        help=f"strength of the method (default: {default})",
    )


def add_out(parser: argparse.ArgumentParser, name: str, holds: str) -> None:
    """Add the folder that a command works in.

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
    """Add the page of the documentation that results may be written into."""
    parser.add_argument(
        "--page",
        metavar="FILE",
        type=pathlib.Path,
        help="run nothing; write what is in --out into this Markdown page",
    )


def add_common(
    parser: argparse.ArgumentParser,
    of: str = "all that is drawn at random",
    *,
    seed: int | None = 0,
    default: str = "0",
) -> None:
    """Add what every command takes: --seed, --quiet and --debug.

    Args:
        parser: Of the command.
        of: What the seed is of.
        seed: The seed if none is given.
        default: How the help calls that.
    """
    common = parser.add_argument_group("options of every command")
    common.add_argument(
        "--seed",
        metavar="S",
        type=whole_number(0, 2**31 - 1),
        default=seed,
        help=f"of {of} (default: {default})",
    )
    common.add_argument(
        "--quiet",
        action="store_true",
        help="show neither progress nor what is in the files anyway",
    )
    common.add_argument(
        "--debug",
        action="store_true",
        help="show where in the program an error arose",
    )


def screen(options: argparse.Namespace) -> Any:
    """The `rich.console.Console` of a command, silent if that is wanted."""
    from keras_otreg.workflows.screen import console_for

    return console_for(options.quiet)
