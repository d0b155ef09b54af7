"""Measures one replica, and simulates many."""

import pathlib
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.on_disk import (
    read_about,
    read_csv,
    some_results,
    write_about,
)
from keras_otreg.benchmark.scaling.measuring import Cost, measured
from keras_otreg.benchmark.scaling.simulation import (
    Network,
    Simulated,
    simulated,
)
from keras_otreg.files import write_csv

COSTS, TABLE, RUN = "costs.csv", "simulated.csv", "run.json"
REPLICAS = [2**k for k in range(11)]


def run(quick: bool, network: Network, out: pathlib.Path, console: Any) -> None:
    """Writes what was measured, and the table of the simulation.

    Args:
        quick: Whether small pictures and few repeats will do.
        network: What connects the replicas.
        out: A folder, for `costs.csv`, `simulated.csv` and `run.json`.
        console: A `rich.console.Console`.

    Raises:
        ImportError: If a library is not installed.
    """
    checks.installed("scipy", "benchmark", "Simulations")
    import rich.table

    with console.status("Measuring one replica"):
        if quick:
            costs = measured(8, 32, [32], 1)
        else:
            costs = measured(32, 128, [128, 512, 2048], 7)
    lines = simulated(costs, REPLICAS, network)
    write_csv(out / COSTS, Cost._fields, costs)
    write_csv(out / TABLE, Simulated._fields, lines)
    write_about(out / RUN, quick=quick, **network._asdict())
    table = rich.table.Table(*HEAD, title="Simulated, not measured")
    for line in cells(lines):
        table.add_row(*line)
    console.print(table)
    console.print(f"Tables are in {out}.")


def read(
    folder: pathlib.Path,
) -> tuple[list[Cost], list[Simulated], dict[str, Any]]:
    """Reads what `run` wrote.

    Raises:
        OSError: If there is nothing in the folder.
    """
    some_results(folder, "scaling", COSTS, TABLE, RUN)
    costs = read_csv(
        folder / COSTS,
        Cost._fields,
        lambda x: Cost(x[0], int(x[1]), float(x[2]), int(x[3])),
    )
    lines = read_csv(
        folder / TABLE,
        Simulated._fields,
        lambda x: Simulated(int(x[0]), int(x[1]), *map(float, x[2:])),
    )
    about = read_about(folder / RUN, "quick", *Network._fields)
    return costs, lines, about


HEAD = (
    "replicas",
    "samples",
    "compute",
    "gradients",
    "C",
    "step",
    "efficiency",
    "gathered",
    "MMD",
)


def cells(lines: list[Simulated]) -> list[list[str]]:
    """The lines of the table, in words."""
    return [
        [
            str(line.replicas),
            str(line.batch),
            *(seconds(x) for x in line[2:6]),
            f"{line.efficiency:.0%}",
            *(seconds(x) for x in line[7:]),
        ]
        for line in lines
    ]


def seconds(value: float) -> str:
    """A time with its unit."""
    if value < 1.0:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s"
