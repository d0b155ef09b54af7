"""The command `joint`."""

from typing import Any

from keras_otreg.commands import options


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "joint",
        _run,
        "learn few pictures beside many of other classes",
        "Fine-tunes a network on your pictures while a second head learns a "
        "larger set with other classes, tied to the first one by optimal "
        "transport between the two label sets. Compares it with plain "
        f"fine-tuning, and keeps what is best in validation. {options.TRAINS}",
    )
    options.add_path(parser, "target", "TARGET", options.PICTURES)
    text = "a folder like it, of other classes; of parts, train counts"
    options.add_path(parser, "source", "SOURCE", text)
    options.add_teacher(parser)
    options.add_out(parser, "otreg-joint", "the model and the report")
    for name, text in (
        ("source-weight", "of the task of the source"),
        ("transport-weight", "of the transport between the heads"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="W",
            type=options.number_above_zero,
            default=1.0,
            help=f"strength {text} (default: 1)",
        )
    options.add_settings(parser, "joint")
    options.add_common(parser)


def _run(given):
    from keras_otreg.workflows import joint

    joint(**options.arguments(given))
