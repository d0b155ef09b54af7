"""The command `benchmark`, of several kinds."""

from typing import Any

from keras_otreg.commands import (
    benchmark_accuracy,
    benchmark_scaling,
    benchmark_soak,
    benchmark_speed,
)

KINDS = (
    benchmark_speed,
    benchmark_accuracy,
    benchmark_scaling,
    benchmark_soak,
)


def add(commands: Any) -> None:
    """Adds the command to those of a parser."""
    benchmark = commands.add_parser(
        "benchmark",
        help="measure this library beside others",
        description="Measures this library beside others, on this machine. "
        'Needs pip install "keras-otreg[benchmark]".',
    )
    kinds = benchmark.add_subparsers(required=True, metavar="kind")
    for kind in KINDS:
        kind.add(kinds)
