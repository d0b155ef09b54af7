"""The command `inspect`."""

import sys
from typing import Any

from keras_otreg.commands import options


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "inspect",
        _run,
        "list the layers of a network that a penalty can name",
        "Prints the path of each layer of a network that can be captured, "
        "also inside nested models, with the shape of what it returns. With "
        "--quiet only that, separated by tabs.",
    )
    options.add(parser, "model", "MODEL.keras", "a .keras file")
    options.add_common(parser, options.NO_SEED)


def _run(given):
    from keras_otreg.features import summary
    from keras_otreg.features.summary import summary_rows
    from keras_otreg.workflows.heads import features_of, place_of
    from keras_otreg.workflows.networks import network_in

    model = network_in(given.model, "model")
    if given.quiet:
        for row in summary_rows(model):
            sys.stdout.write("\t".join(row) + "\n")
        return
    summary(model)
    console = options.screen(given)
    console.print(
        f"{model.name}: {model.count_params():,} weights; takes "
        f"{model.input_shape}, returns {model.output_shape}.",
        highlight=False,
    )
    if len(getattr(model, "outputs", ())) > 1:
        # No command trains it, and which head is meant is not known.
        return
    console.print(
        f"The layer before the head: --at {place_of(model)}\n"
        "finetune and tune put a new head behind "
        f"{features_of(model)}: --at cannot name the layers after it.",
        highlight=False,
        soft_wrap=True,
    )
