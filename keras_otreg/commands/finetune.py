"""The command `finetune`."""

from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_pictures,
    add_shots,
    add_strength,
    add_teacher,
    add_training,
    arguments,
    whole_number,
)
from keras_otreg.commands.places import add_places
from keras_otreg.workflows.names import OF_WEIGHTS, TITLES


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    finetune = commands.add_parser(
        "finetune",
        help="fine-tune a network on your pictures",
        description="Trains a new head for your classes, then all of the "
        "network, while its neurons stay close to what they were. Compares it "
        "with plain fine-tuning, keeps what is best in validation, and writes "
        "model.keras (a plain Keras model), classes.json, history.csv and "
        "report.html. Started again, it goes on where it was "
        'stopped. Needs pip install "keras-otreg[pictures]".',
    )
    finetune.set_defaults(command=_run, refuse=finetune.error)
    add_pictures(finetune)
    _add_what(finetune)
    add_training(finetune, epochs=20, patience=8, rate=3e-4)
    add_common(finetune)


def _add_what(finetune):
    add_teacher(finetune)
    add_out(finetune, "otreg-finetune", "the model and the report")
    add_shots(finetune)
    finetune.add_argument(
        "--method",
        choices=tuple(TITLES),
        default="transport",
        metavar="METHOD",
        help=f"{', '.join(TITLES)} (default: transport)",
    )
    add_places(
        finetune,
        "a layer where the method acts, may be repeated (default: the one "
        f"before the head; not for {' and '.join(OF_WEIGHTS)})",
    )
    add_strength(finetune)
    finetune.add_argument(
        "--tune",
        dest="trials",
        metavar="N",
        type=whole_number(0, 10**4),
        default=0,
        help="search the strength in N trials and keep the best one (default: "
        "0, no search)",
    )


def _run(options):
    if options.at and options.method in OF_WEIGHTS:
        options.refuse(
            f"argument --at: not for --method {options.method}, which pulls "
            "all weights"
        )
    from keras_otreg.workflows import finetune

    finetune(**arguments(options))
