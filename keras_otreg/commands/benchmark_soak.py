"""The kind `soak` of the command `benchmark`."""

from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_page,
    screen,
    whole_number,
)
from keras_otreg.commands.readiness import ready


def add(kinds: Any) -> None:
    """Adds the kind to those of a parser."""
    soak = kinds.add_parser(
        "soak",
        help="train for long, and see what memory, threads and files do",
        description="Trains on, with evaluate, predict, save and a reload "
        "between epochs, and writes down what the process holds.",
    )
    soak.set_defaults(command=_run)
    soak.add_argument(
        "--minutes",
        metavar="M",
        type=whole_number(0, 100_000),
        default=20,
        help="how long; two rounds at least (default: 20)",
    )
    soak.add_argument(
        "--plain",
        action="store_true",
        help="a plain Keras model in the same loop, to compare with",
    )
    soak.add_argument(
        "--anew",
        action="store_true",
        help="each round trains the model that the last one loaded",
    )
    add_out(soak, "otreg-soak", "the tables")
    add_page(soak)
    add_common(soak, "the weights and the order of the data")


def _run(options):
    if options.page is None:
        ready(options.out)
    from keras_otreg.benchmark import soak

    if options.page is not None:
        soak.write_page(options.out, options.page)
        return
    import keras

    keras.utils.set_random_seed(options.seed)
    kind = soak.Kind(is_wrapped=not options.plain, is_anew=options.anew)
    soak.run(kind, options.minutes, options.out, screen(options))
