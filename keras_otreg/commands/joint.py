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
    number_above_zero,
    screen,
    training,
)
from keras_otreg.commands.readiness import ready


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    joint = commands.add_parser(
        "joint",
        help="learn few pictures beside many of other classes",
        description="Fine-tunes a network on your pictures while a second head "
        "learns a larger set with other classes, tied to the first one by "
        "optimal transport between the two label sets. Compares it with plain "
        "fine-tuning, and writes model.keras (a plain Keras model), "
        "history.csv and report.html. Started again, it goes on where it was "
        'stopped. Needs pip install "keras-otreg[pictures]".',
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
    ready(options.out, options.target, options.source)
    from keras_otreg.workflows.joint import Wish, joint
    from keras_otreg.workflows.telling import tell

    console = screen(options)
    wish = Wish(
        target=options.target,
        source=options.source,
        teacher=options.teacher,
        out=options.out,
        shots=options.shots,
        source_weight=options.source_weight,
        transport_weight=options.transport_weight,
        image_size=options.image_size,
        settings=training(options),
    )
    tell(joint(wish, console), options.out, console)
