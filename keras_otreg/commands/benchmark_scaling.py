"""The kind `scaling` of the command `benchmark`."""

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
    scaling = kinds.add_parser(
        "scaling",
        help="simulate distributed training on 1 to 1024 replicas",
        description="Times what one replica of a distributed step computes, "
        "and simulates the step of 1 to 1024 of them from that and from a "
        "model of the network between them.",
    )
    scaling.set_defaults(command=_run)
    scaling.add_argument(
        "--gigabits",
        metavar="N",
        type=whole_number(1, 100_000),
        default=100,
        help="what a replica sends and receives in a second (default: 100)",
    )
    scaling.add_argument(
        "--microseconds",
        metavar="N",
        type=whole_number(0, 1_000_000),
        default=10,
        help="from one replica to the next (default: 10)",
    )
    scaling.add_argument(
        "--quick",
        action="store_true",
        help="small pictures and few repeats: a trial of the command",
    )
    add_out(scaling, "otreg-scaling", "the tables")
    add_page(scaling)
    add_common(scaling, "the weights and the activations")


def _run(options):
    if options.page is None:
        ready(options.out)
    from keras_otreg.benchmark import scaling

    if options.page is not None:
        scaling.write_page(options.out, options.page)
        return
    import keras

    keras.utils.set_random_seed(options.seed)
    network = scaling.Network(options.gigabits / 8, options.microseconds)
    scaling.run(options.quick, network, options.out, screen(options))
