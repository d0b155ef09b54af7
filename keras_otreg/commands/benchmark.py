"""The command `benchmark`."""

import argparse
from typing import Any

from keras_otreg.commands import benchmark_accuracy

# Measured by who maintains this library, from a checkout.
MOVED = ("speed", "scaling", "soak")


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    benchmark = commands.add_parser(
        "benchmark",
        help="compare methods by one protocol for all",
        description="Compares ways of learning from few labels, on this "
        'machine. Needs pip install "keras-otreg[benchmark]".',
    )
    kinds = benchmark.add_subparsers(required=True, metavar="kind")
    benchmark_accuracy.add(kinds)
    for name in MOVED:
        # Whatever follows is no option of it.
        kind = kinds.add_parser(name, add_help=False, prefix_chars="\0")
        kind.add_argument("rest", nargs="*")
        kind.set_defaults(command=_tell, kind=name, quiet=True, debug=False)


def _tell(options: argparse.Namespace) -> None:
    raise OSError(
        f"`benchmark {options.kind}` is no command any more: in a checkout, "
        f"`python tests/benchmarks {options.kind}` does it"
    )
