"""Fine-tune a network on your pictures.

Solves a new head for your classes on frozen features, trains all of the
network from there, if wanted also with a penalty, interpolates between both,
and keeps what is best in validation.
"""

from keras_otreg.commands import options
from keras_otreg.workflows.settings import DISTANCES, NONE, TITLES


def add(parser):
    parser.description += options.TRAINS
    options.add(parser, "data", "DATA", options.PICTURES)
    options.add_teacher(parser)
    options.add_method(parser, (NONE, *TITLES), NONE)
    options.add_places(
        parser,
        "a layer where the method acts, may be repeated (default: the one "
        f"before the head; not for {' and '.join(DISTANCES)})",
    )
    options.add_weight(parser, options.MIDDLE)
    text = (
        "search the strength in N trials and keep the best one; without a "
        "method the learning rate"
    )
    number, shown = options.whole_number(0, 10**4), "0, no search"
    options.add(parser, "--tune", "N", text, number, 0, shown, dest="trials")
    text = "pictures without labels, which the head learns from too"
    options.add(parser, "--unlabelled", "FOLDER", text)
    text = (
        "shares of the classes among them: a CSV file of rows class,share; "
        "labelled, as among the training pictures; model; uniform; or "
        "validation, if DATA has its own validation pictures, ten of each "
        "class or more, drawn like those without labels"
    )
    options.add(parser, "--shares", "SHARES", text, str, "uniform")
    options.add_settings(parser, "finetune")
    options.add_common(parser)


def run(given):
    options.refuse_places(given)
    if given.weight is not None and given.method == NONE:
        given.refuse("argument --weight: needs a --method of that strength")
    if given.shares != "uniform" and given.unlabelled is None:
        given.refuse("argument --shares: needs --unlabelled pictures")
    from keras_otreg.workflows.finetuning import finetune

    finetune(**options.arguments(given))
