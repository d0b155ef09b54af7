"""The command `tune`."""

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
    whole_number,
)
from keras_otreg.commands.places import add_places
from keras_otreg.workflows.names import OF_WEIGHTS, TITLES


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    tune = commands.add_parser(
        "tune",
        help="fine-tune, and search where and how strongly a method acts",
        description="Fine-tunes a network as finetune does, but many times "
        "with other settings: draws the layer, the strength and the learning "
        "rate at random, and keeps what is best on validation pictures. "
        "Writes trials.csv beside the files of finetune. Started again, also "
        "with more trials, it goes on where it was stopped. "
        'Needs pip install "keras-otreg[pictures]".',
    )
    tune.set_defaults(command=_run, refuse=tune.error)
    add_pictures(tune, nargs="?")
    tune.add_argument(
        "--data",
        dest="folder",
        metavar="DATA",
        type=pathlib.Path,
        help="the same as DATA, as in earlier versions",
    )
    _add_what(tune)
    add_training(tune, epochs=5, patience=8, rate=3e-4)
    add_common(tune)


def _add_what(tune):
    add_teacher(tune)
    add_out(tune, "otreg-tune", "the model, the trials and the report")
    add_shots(tune)
    tune.add_argument(
        "--method",
        choices=tuple(TITLES),
        default="transport",
        metavar="METHOD",
        help=f"{', '.join(TITLES)} (default: transport)",
    )
    add_places(
        tune,
        "a layer where the method may act, may be repeated (default: the one "
        f"before the head; not for {' and '.join(OF_WEIGHTS)})",
    )
    tune.add_argument(
        "--everywhere",
        action="store_true",
        help="act at all layers of --at at once, not at one of them",
    )
    tune.add_argument(
        "--trials",
        metavar="N",
        type=whole_number(1, 10**4),
        default=20,
        help="trainings with other settings (default: 20)",
    )


def _run(options):
    if options.at and options.method in OF_WEIGHTS:
        options.refuse(
            f"argument --at: not for --method {options.method}, which pulls "
            "all weights"
        )
    given = arguments(options)
    folder = given.pop("folder")
    if (given["data"] is None) == (folder is None):
        options.refuse("expected one folder of pictures: DATA")
    from keras_otreg.workflows import tune

    tune(**{**given, "data": given["data"] or folder})
