"""Writes the simulation into a page of the documentation."""

import pathlib

from keras_otreg.benchmark.scaling.runner import HEAD, cells, read, seconds
from keras_otreg.benchmark.section import (
    markdown_table,
    origin,
    write_section,
)


def write_page(folder: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the section on scaling of a page.

    Args:
        folder: Where `run` left its tables.
        page: A Markdown file; made if it is not there.

    Raises:
        OSError: If there are no results.
    """
    costs, lines, about = read(folder)
    gigabytes, delay = about.pop("gigabytes"), about.pop("microseconds")
    about.pop("quick")
    command, versions = origin(about)
    parts = [
        (c.part, c.batch, seconds(c.seconds), f"{c.size:,}") for c in costs
    ]
    paragraphs = [
        "### Measured: the work of one replica",
        command,
        f"On: {versions}. A fine-tuning step of EfficientNet-Lite0 with one "
        "penalty at its 1,280 pooled units.",
        markdown_table(("part", "samples", "time", "numbers to send"), parts),
        "### Simulated: many replicas",
        "**This is a simulation: no cluster was there.** It takes the times "
        "above for the work, and for the network rings in which each replica "
        f"sends and receives {gigabytes:g} GB/s, {delay:g} microseconds from "
        "one to the next. Nothing overlaps, where TensorFlow would send "
        "gradients while it computes others.",
        markdown_table(HEAD, cells(lines)),
        "*compute*: student, teacher, costs of the own samples, and the plan. "
        "*gradients*, *C*: adding them up over the replicas. *gathered*: the "
        "step, if replicas collected all samples in the place of adding up "
        "`C`. *MMD*: what a loss that compares each sample with each takes by "
        "itself.",
    ]
    write_section(page, "scaling", paragraphs)
