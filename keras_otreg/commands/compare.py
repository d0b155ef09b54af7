"""The command `compare`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_image_size,
    add_pictures,
    arguments,
    whole_number,
)


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    compare = commands.add_parser(
        "compare",
        help="which layer of one network is like which of another",
        description="Compares the layers of two networks on pictures, by the "
        "transport between their neurons, by CKA, and by the share of neurons "
        "that have changed places; suggests where a penalty could act. With "
        "--out, also as heat maps and a table. "
        'Needs pip install "keras-otreg[pictures]".',
    )
    compare.set_defaults(command=_run, refuse=compare.error)
    for name, text in (("first", "the teacher"), ("second", "the student")):
        compare.add_argument(
            name,
            metavar=f"{'AB'[name == 'second']}.keras",
            type=pathlib.Path,
            help=f"a .keras file, of a penalty {text}",
        )
    add_pictures(compare)
    _add_how(compare)
    add_common(compare, "the draw of pictures")


def _add_how(compare):
    compare.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="folder for the heat maps and the table (default: none)",
    )
    for name, value, text in (
        ("pictures", 128, "pictures to see the layers on"),
        ("layers", 8, "layers of each network"),
    ):
        compare.add_argument(
            f"--{name}",
            metavar="N",
            type=whole_number(2, 10**5),
            default=value,
            help=f"{text}, at most (default: {value})",
        )
    add_image_size(compare)


def _run(options):
    if options.quiet and options.out is None:
        options.refuse("argument --quiet: without --out nothing would remain")
    from keras_otreg.workflows import compare

    compare(**arguments(options))
