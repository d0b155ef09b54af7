"""The kind `speed` of the command `benchmark`."""

from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    add_page,
    screen,
)
from keras_otreg.commands.readiness import ready

PARTS = (
    "start-up",
    "memory",
    "profile",
    "fixed-work",
    "tolerance",
    "warm-starts",
    "growth",
    "batch",
    "step",
)


def add(kinds: Any) -> None:
    """Adds the kind to those of a parser."""
    speed = kinds.add_parser(
        "speed",
        help="time the solver and a training step, beside other libraries",
        description="Times the solver beside OTT-JAX, POT and GeomLoss, and a "
        "step of training beside a plain one and that of Keras's Distiller; "
        "measures memory and start-up. Prints a table, and what is promised.",
    )
    speed.set_defaults(command=_run)
    speed.add_argument(
        "--only",
        metavar="PART",
        action="append",
        choices=PARTS,
        help=f"one part, may be repeated: {', '.join(PARTS)} (default: all)",
    )
    speed.add_argument(
        "--quick",
        action="store_true",
        help="small problems and few repeats: a trial of the command, not of "
        "the promises",
    )
    add_out(speed, "otreg-speed", "the tables and pictures")
    add_page(speed)
    add_common(speed, "the networks; the problems are always the same")


def _run(options):
    if options.page is None:
        ready(options.out)
    from keras_otreg.benchmark import speed

    if options.page is not None:
        speed.write_page(options.out, options.page)
        return
    import keras

    keras.utils.set_random_seed(options.seed)
    speed.run(
        options.only or PARTS,
        options.quick,
        options.out,
        screen(options),
    )
