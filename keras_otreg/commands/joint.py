"""The command `joint`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_pictures,
    add_shots,
    add_teacher,
    add_training,
    arguments,
    number_above_zero,
)


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    joint = commands.add_parser(
        "joint",
        help="learn few pictures beside many of other classes",
        description="Fine-tunes a network on your pictures while a second head "
        "learns a larger set with other classes, tied to the first one by "
        "optimal transport between the two label sets. Compares it with plain "
        "fine-tuning, keeps what is best in validation, and writes model.keras "
        "(a plain Keras model), classes.json, history.csv and report.html. "
        "Started again, it goes on where it was stopped. "
        'Needs pip install "keras-otreg[pictures]".',
    )
    joint.set_defaults(command=_run)
    add_pictures(joint, "target", "TARGET")
    joint.add_argument(
        "source",
        metavar="SOURCE",
        type=pathlib.Path,
        help="a folder like it, of other classes; of parts, train counts",
    )
    add_teacher(joint)
    add_out(joint, "otreg-joint", "the model and the report")
    add_shots(joint)
    for name, text in (
        ("source-weight", "of the task of the source"),
        ("transport-weight", "of the transport between the heads"),
    ):
        joint.add_argument(
            f"--{name}",
            metavar="W",
            type=number_above_zero,
            default=1.0,
            help=f"strength {text} (default: 1)",
        )
    add_training(joint, epochs=20, patience=8, rate=3e-4)
    add_common(joint)


def _run(options):
    from keras_otreg.workflows import joint

    joint(**arguments(options))
