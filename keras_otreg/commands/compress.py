"""The command `compress`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_pictures,
    add_shots,
    add_strength,
    add_training,
    arguments,
)
from keras_otreg.commands.places import add_places
from keras_otreg.workflows.names import OF_WEIGHTS, TITLES

METHODS = tuple(name for name in TITLES if name not in OF_WEIGHTS)


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    compress = commands.add_parser(
        "compress",
        help="train a small network with the help of a large one",
        description="Trains a student of any width and architecture on your "
        "pictures, while its layers stay close to those of a larger network, "
        "compares it with the student trained alone, and keeps the better one. "
        "Writes model.keras (a plain Keras model), classes.json, history.csv "
        "and report.html. Started again, it "
        "goes on where it was stopped. "
        'Needs pip install "keras-otreg[pictures]".',
    )
    compress.set_defaults(command=_run)
    compress.add_argument(
        "model",
        metavar="MODEL.keras",
        type=pathlib.Path,
        help="the large network, a .keras file",
    )
    add_pictures(compress)
    _add_what(compress)
    add_training(compress, epochs=60, patience=20, rate=1e-3)
    add_common(compress)


def _add_what(compress):
    compress.add_argument(
        "--student",
        metavar="MODEL.keras",
        type=pathlib.Path,
        required=True,
        help="the small network, a .keras file; it starts with the weights "
        "that it has",
    )
    add_out(compress, "otreg-compress", "the model and the report")
    add_shots(compress)
    compress.add_argument(
        "--method",
        choices=METHODS,
        default="alignment",
        metavar="METHOD",
        help=f"{', '.join(METHODS)} (default: alignment)",
    )
    add_places(
        compress,
        "a layer of the student where the method acts, and the teacher's "
        "that belongs to it, may be repeated (default: the ends of up to three "
        "blocks and the layers before the heads; `keras-otreg compare` "
        "suggests others)",
        paired=True,
    )
    add_strength(
        compress,
        "1 for alignment, else the middle of what the library searches",
    )


def _run(options):
    from keras_otreg.workflows import compress

    compress(**arguments(options))
