"""The command `demo`."""

import argparse
from typing import Any

from keras_otreg.commands.options import (
    add_common,
    add_out,
    screen,
    whole_number,
)
from keras_otreg.commands.readiness import ready


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    demo = commands.add_parser(
        "demo",
        help="learn real digits from few labels, and compare methods",
        description="Trains a network on MNIST's digits and transfers it to "
        "those of another scanner, with two labels a class: with optimal "
        "transport, and with what one would do otherwise. Or, with --joint, "
        "learns MNIST's digits from five labels a class beside printed "
        'letters. Needs pip install "keras-otreg[demo]".',
    )
    demo.set_defaults(command=_run)
    _add_options(demo)


def _add_options(demo):
    demo.add_argument(
        "--joint",
        action="store_true",
        help="joint transfer from letters instead of fine-tuning",
    )
    demo.add_argument(
        "--quick",
        action="store_true",
        help="take less than a minute: 2 seeds (1 with --joint), less "
        "training of the source, default strengths instead of chosen ones",
    )
    demo.add_argument(
        "--seeds",
        metavar="N",
        type=whole_number(1, 1000),
        default=argparse.SUPPRESS,
        help="how many draws of labels to train with (default: 8, or 5 "
        "with --joint)",
    )
    add_out(demo, "otreg-demo", "the model, the table and the pictures")
    add_common(demo, "the first draw; the same gives the same numbers")


def _run(options):
    ready(options.out)
    from keras_otreg import demo

    # Without --joint, then with it.
    seeds = ((8, 5), (2, 1))[options.quick][options.joint]
    settings = demo.Settings(
        seeds=getattr(options, "seeds", seeds), seed=options.seed
    )
    if options.joint:
        settings = demo.joint(settings)
    if options.quick:
        settings = demo.quick(settings)
    task = demo.letters_and_digits() if options.joint else demo.digits()
    run = demo.run_joint if options.joint else demo.run
    run(task, settings, options.out, screen(options))
