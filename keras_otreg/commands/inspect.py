"""List the layers of a network that a penalty can name.

Prints the path of each layer of a network that can be captured, also inside
nested models, with the shape of what it returns. With --quiet only that,
separated by tabs.
"""

import sys

from keras_otreg.commands import options


def add(parser):
    options.add(parser, "model", "MODEL.keras", "a .keras file")
    options.add_common(parser, options.NO_SEED)


def run(given):
    from keras_otreg.experiments.progress import say
    from keras_otreg.features import summary
    from keras_otreg.features.taps import summary_rows
    from keras_otreg.workflows.layers import features_of, place_of
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
    # Of several heads it is not known which one is meant.
    if len(getattr(model, "outputs", ())) < 2:
        say(
            console,
            f"The layer before the head: --at {place_of(model)}\n"
            f"finetune and tune put a new head behind {features_of(model)}: "
            "--at cannot name the layers after it.",
        )
