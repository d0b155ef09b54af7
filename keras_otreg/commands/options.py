"""Options that several commands take."""

import argparse
import dataclasses
import math
import pathlib

from keras_otreg.workflows.settings import DISTANCES, NONE, Settings

PICTURES = (
    "pictures as train/<class>/, validation/<class>/ and test/<class>/, or as "
    "<class>/; missing parts are split off the training pictures"
)
# What every command that trains says of itself.
TRAINS = (
    " Writes model.keras (a plain Keras model), classes.json, history.csv and "
    "report.html. The same command resumes an interrupted run. Needs "
    'pip install "keras-otreg[pictures]".'
)
MODEL = "a model.keras, or the folder that it is in"
MIDDLE = "the middle of what the library searches"
NO_SEED = "nothing: this command draws no random numbers"


def whole_number(least, most):
    """Make a parser of whole numbers in a range."""

    def parse(text):
        number = int(text) if text.isascii() and text.isdigit() else -1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} to {most}, not {text!r}"
        )

    return parse


def number_above_zero(text):
    """Parse a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0.0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(
        f"expected a finite number above 0, not {text!r}"
    )


def amount(text):
    """Parse a number above 0, such as `2M`, `500K`, `50%` or `0.5`."""
    factors = {"%": 0.01, "K": 1e3, "M": 1e6, "G": 1e9}
    factor = factors.get(text[-1:].upper(), 1.0)
    number = number_above_zero(text if factor == 1.0 else text[:-1])
    return factor * number


def share(text):
    """Parse a share above 0, of at most 1."""
    number = amount(text)
    if number <= 1.0:
        return number
    raise argparse.ArgumentTypeError(
        f"expected a share above 0, of at most 1, not {text!r}"
    )


MANY = whole_number(1, 10**4)
SEEDS = whole_number(1, 1000)
# For each of the settings its symbol, its parser, and its help.
SETTINGS = {
    "out": ("DIR", pathlib.Path, "folder for the model and the report"),
    "shots": ("N", whole_number(1, 10**6), "pictures of each class to draw"),
    "image_size": (
        *("N", whole_number(8, 4096)),
        "height and width of pictures, in pixels, where the network takes any",
    ),
    "epochs": ("N", MANY, "passes over the pictures, at most"),
    "patience": (
        *("N", MANY),
        "epochs without progress in validation that end a training",
    ),
    "batch_size": ("N", MANY, "pictures in a batch"),
    "learning_rate": ("R", number_above_zero, "learning rate of Adam"),
}


def add(
    parser,
    name,
    metavar,
    text,
    kind=pathlib.Path,
    default=None,
    shown=None,
    **more,
):
    """Add an argument, or an option whose default is told in its help.

    `kind` is a parser, or a tuple of all values; `shown` are the words for the
    default; none are said if it is empty.
    """
    if isinstance(kind, tuple):
        more["choices"], kind = kind, str
    if shown is None:
        is_number = isinstance(default, int | float)
        shown = f"{default:g}" if is_number else str(default or "none")
    if name.startswith("--") and shown:
        text = f"{text} (default: {shown})"
    parser.add_argument(
        name, metavar=metavar, type=kind, default=default, help=text, **more
    )


def add_settings(parser, name, *names):
    """Add options for `Settings`, or some, with the defaults of a command."""
    defaults = dataclasses.asdict(Settings.of(name, {}))
    for each in names or SETTINGS:
        metavar, kind, text = SETTINGS[each]
        shown = "all" if defaults[each] is None else None
        option = "--" + each.replace("_", "-")
        add(parser, option, metavar, text, kind, defaults[each], shown)


def add_teacher(parser):
    text = (
        "the network to start from: efficientnet-lite0, a .keras file, or a "
        "name of keras.applications"
    )
    add(parser, "--teacher", "MODEL", text, str, "efficientnet-lite0")


def add_method(parser, names, default):
    add(parser, "--method", "METHOD", ", ".join(names), names, default)


def add_weight(parser, shown):
    text = "strength of the method"
    add(parser, "--weight", "W", text, number_above_zero, shown=shown)


def flag(parser, name, text):
    parser.add_argument(name, action="store_true", help=text)


def add_common(parser, of="all random numbers", seed=0, default="0"):
    """Add --seed, --quiet and --debug, which every command takes."""
    common = parser.add_argument_group("options of every command")
    number = whole_number(0, 2**31 - 1)
    add(common, "--seed", "S", f"seed of {of}", number, seed, default)
    text = "show neither progress nor the results that are in the files"
    flag(common, "--quiet", text)
    flag(common, "--debug", "show the traceback of an error")


def add_places(parser, text, paired=False):
    """Add the option --at, which names layers or pairs of layers, each once."""
    parser.add_argument(
        "--at",
        metavar="LAYER[=LAYER]" if paired else "LAYER",
        type=_pair if paired else str,
        action=_Places,
        default=(),
        help=text,
    )


class _Places(argparse.Action):
    """Action that gathers layers; those of a student must differ."""

    def __call__(self, parser, namespace, values, option_string=None):
        def layer(text):
            return text.partition("=")[0] if self.type is _pair else text

        named = getattr(namespace, self.dest)
        if layer(values) in map(layer, named):
            raise argparse.ArgumentError(
                self, f"{layer(values)!r} is named twice"
            )
        setattr(namespace, self.dest, (*named, values))


def _pair(text):
    name, mark, other = text.partition("=")
    if name and (other or not mark):
        return text
    raise argparse.ArgumentTypeError(
        f"expected LAYER or LAYER=LAYER, not {text!r}"
    )


def refuse_places(options):
    """Refuse --at for a method that acts at no layer."""
    if options.at and options.method == NONE:
        options.refuse("argument --at: needs a --method that acts there")
    if options.at and options.method in DISTANCES:
        options.refuse(
            f"argument --at: not for --method {options.method}, which pulls "
            "all weights"
        )


def refuse_silence(options):
    """Refuse --quiet without --out."""
    if options.quiet and options.out is None:
        options.refuse("argument --quiet: without --out nothing would remain")


def arguments(options, *without):
    """Options by the names of the arguments of the function that works."""
    others = ("command", "debug", "refuse", *without)
    return {k: v for k, v in vars(options).items() if k not in others}


def screen(options):
    """The `rich.console.Console` of a command, silent if that is wanted."""
    from keras_otreg.experiments.progress import console_for

    return console_for(options.quiet)
