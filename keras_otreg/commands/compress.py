"""The command `compress`."""

from typing import Any

from keras_otreg.commands import options
from keras_otreg.workflows.settings import OF_WEIGHTS, TITLES

METHODS = tuple(name for name in TITLES if name not in OF_WEIGHTS)


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "compress",
        _run,
        "train a small network with the help of a large one",
        "Trains a student of any width and architecture on your pictures, "
        "while its layers stay close to those of a larger network, compares "
        "it with the student trained alone, and keeps the better one. "
        f"{options.TRAINS}",
    )
    text = "the large network, a .keras file"
    options.add(parser, "model", "MODEL.keras", text)
    options.add(parser, "data", "DATA", options.PICTURES)
    options.add(
        *(parser, "--student", "MODEL.keras"),
        "the small network, a .keras file; it starts with the weights that it "
        "has",
        shown="",
        required=True,
    )
    options.add_method(parser, "alignment", METHODS)
    options.add_places(
        parser,
        "a layer of the student where the method acts, and the teacher's "
        "that belongs to it, may be repeated (default: the ends of up to three "
        "blocks and the layers before the heads; `keras-otreg compare` "
        "suggests others)",
        paired=True,
    )
    options.add(
        *(parser, "--weight", "W", "strength of the method"),
        kind=options.number_above_zero,
        shown=f"1 for alignment, else {options.MIDDLE}",
    )
    options.add_settings(parser, "compress")
    options.add_common(parser)


def _run(given):
    from keras_otreg.workflows import compress

    compress(**options.arguments(given))
