"""Fine-tune, and search the learning rate and how a method acts.

Fine-tunes a network as finetune does, but many times with other settings:
draws the learning rate and, of a method, the layer and the strength at random,
and keeps what is best on validation pictures. Also writes trials.csv.
"""

from keras_otreg.commands import options
from keras_otreg.workflows.settings import DISTANCES, NONE, TITLES


def add(parser):
    parser.description += options.TRAINS
    options.add(parser, "data", "DATA", options.PICTURES, nargs="?")
    text = "the same as DATA, as in earlier versions"
    options.add(parser, "--data", "DATA", text, shown="", dest="folder")
    options.add_teacher(parser)
    options.add_method(parser, (NONE, *TITLES), NONE)
    options.add_places(
        parser,
        "a layer where the method may act, may be repeated (default: the one "
        f"before the head; not for {' and '.join(DISTANCES)})",
    )
    text = "act at all layers of --at at once, not at one of them"
    options.flag(parser, "--everywhere", text)
    text = "trainings with other settings"
    options.add(parser, "--trials", "N", text, options.MANY, 20)
    options.add_settings(parser, "tune")
    options.add_common(parser)


def run(given):
    options.refuse_places(given)
    if (given.data is None) == (given.folder is None):
        given.refuse("expected one folder of pictures: DATA")
    given.data = given.data or given.folder
    from keras_otreg.workflows.finetuning import tune

    tune(**options.arguments(given, "folder"))
