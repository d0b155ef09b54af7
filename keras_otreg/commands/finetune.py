"""The command `finetune`."""

from typing import Any

from keras_otreg.commands import options
from keras_otreg.workflows.settings import NONE, OF_WEIGHTS, TITLES


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "finetune",
        _run,
        "fine-tune a network on your pictures",
        "Solves a new head for your classes on frozen features, trains all of "
        "the network from there, if wanted also with a penalty, interpolates "
        "between both, and keeps what is best in validation. "
        f"{options.TRAINS}",
    )
    options.add(parser, "data", "DATA", options.PICTURES)
    options.add_teacher(parser)
    options.add_method(parser, NONE, (NONE, *TITLES))
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
        "search the strength in N trials and keep the best one; without a "
        "method the learning rate",
        options.whole_number(0, 10**4),
        default=0,
        shown="0, no search",
        dest="trials",
    )
    options.add(
        *(parser, "--unlabelled", "FOLDER"),
        "pictures without labels, which the head learns from too",
    )
    options.add(
        *(parser, "--shares", "SHARES"),
        "shares of the classes among them: a CSV file of rows class,share; "
        "labelled, as among the training pictures; model; or uniform",
        str,
        "uniform",
    )
    options.add_settings(parser, "finetune")
    options.add_common(parser)


def _run(given):
    options.refuse_places(given)
    if given.weight is not None and given.method == NONE:
        given.refuse("argument --weight: needs a --method of that strength")
    if given.shares != "uniform" and given.unlabelled is None:
        given.refuse("argument --shares: needs --unlabelled pictures")
    from keras_otreg.workflows import finetune

    finetune(**options.arguments(given))
