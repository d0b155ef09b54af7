"""The command `tune`."""

from typing import Any

from keras_otreg.commands import options
from keras_otreg.workflows.settings import NONE, OF_WEIGHTS, TITLES


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "tune",
        _run,
        "fine-tune, and search the learning rate and how a method acts",
        "Fine-tunes a network as finetune does, but many times with other "
        "settings: draws the learning rate and, of a method, the layer and the "
        "strength at random, and keeps what is best on validation pictures. "
        f"Also writes trials.csv. {options.TRAINS}",
    )
    options.add(parser, "data", "DATA", options.PICTURES, nargs="?")
    text = "the same as DATA, as in earlier versions"
    options.add(parser, "--data", "DATA", text, shown="", dest="folder")
    options.add_teacher(parser)
    options.add_method(parser, NONE, (NONE, *TITLES))
    options.add_places(
        parser,
        "a layer where the method may act, may be repeated (default: the one "
        f"before the head; not for {' and '.join(OF_WEIGHTS)})",
    )
    parser.add_argument(
        "--everywhere",
        action="store_true",
        help="act at all layers of --at at once, not at one of them",
    )
    text = "trainings with other settings"
    options.add(parser, "--trials", "N", text, options.MANY, 20)
    options.add_settings(parser, "tune")
    options.add_common(parser)


def _run(given):
    options.refuse_places(given)
    if (given.data is None) == (given.folder is None):
        given.refuse("expected one folder of pictures: DATA")
    given.data = given.data or given.folder
    from keras_otreg.workflows import tune

    tune(**options.arguments(given, "folder"))
