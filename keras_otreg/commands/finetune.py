"""The command `finetune`."""

from typing import Any

from keras_otreg.commands import options
from keras_otreg.workflows.settings import OF_WEIGHTS


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "finetune",
        _run,
        "fine-tune a network on your pictures",
        "Trains a new head for your classes, then all of the network, while "
        "its neurons stay close to what they were. Compares it with plain "
        f"fine-tuning, and keeps what is best in validation. {options.TRAINS}",
    )
    options.add(parser, "data", "DATA", options.PICTURES)
    options.add_teacher(parser)
    options.add_method(parser, "transport")
    options.add_places(
        parser,
        "a layer where the method acts, may be repeated (default: the one "
        f"before the head; not for {' and '.join(OF_WEIGHTS)})",
    )
    options.add(
        *(parser, "--weight", "W", "strength of the method"),
        kind=options.number_above_zero,
        shown=options.MIDDLE,
    )
    options.add(
        *(parser, "--tune", "N"),
        "search the strength in N trials and keep the best one",
        options.whole_number(0, 10**4),
        default=0,
        shown="0, no search",
        dest="trials",
    )
    options.add_settings(parser, "finetune")
    options.add_common(parser)


def _run(given):
    options.refuse_places(given)
    from keras_otreg.workflows import finetune

    finetune(**options.arguments(given))
