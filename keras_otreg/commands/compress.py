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
        "make a small network from a large one",
        "Makes a network narrower, gives it weights with which it computes "
        "almost the same, trains it on your pictures, compares it with the "
        "same network trained from new weights, and keeps what is best in "
        "validation. Or trains a --student of any architecture beside it. "
        f"{options.TRAINS}",
    )
    text = "the large network, a .keras file"
    options.add(parser, "model", "MODEL.keras", text)
    options.add(parser, "data", "DATA", options.PICTURES)
    _add_size(parser)
    options.add(
        *(parser, "--student", "MODEL.keras"),
        "a small network of your own instead, a .keras file; it starts with "
        "the weights that it has",
        shown="",
    )
    options.add_method(parser, "alignment", METHODS)
    options.add_places(
        parser,
        "a layer of the student where the method acts, and the teacher's "
        "layer to compare it with; may be repeated (default: the ends of up to "
        "three blocks and the layers before the heads; `keras-otreg compare` "
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


def _add_size(parser):
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--width",
        metavar="SHARE",
        type=options.share,
        help="share of the neurons of each layer that stay, such as 0.5",
    )
    one.add_argument(
        "--parameters",
        metavar="N",
        type=options.amount,
        help="the most weights: a number such as 2M, or a share such as 50%%",
    )
    one.add_argument(
        "--flops",
        metavar="N",
        type=options.amount,
        help="the most operations for a picture: such as 300M, or 50%%",
    )


def _run(given):
    sizes = given.student, given.width, given.parameters, given.flops
    if sum(x is not None for x in sizes) != 1:
        given.refuse(
            "expected one of --width, --parameters, --flops and --student"
        )
    from keras_otreg.workflows import compress

    compress(**options.arguments(given))
