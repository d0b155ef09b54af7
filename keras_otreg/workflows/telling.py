"""Tells in the terminal what a report tells in full."""

import pathlib
from typing import Any

import rich.table

from keras_otreg.workflows.project import HISTORY, MODEL, REPORT
from keras_otreg.workflows.story import Story
from keras_otreg.workflows.words import sentence


def tell(story: Story, folder: pathlib.Path, console: Any) -> None:
    """Prints a table, what it means, and where everything is.

    Args:
        story: What has been done.
        folder: Where it was written to.
        console: A `rich.console.Console`.
    """
    table = rich.table.Table("", "validation", "test", title="Accuracy")
    for row in story.rows():
        table.add_row(
            row["title"],
            f"{row['validation']:.3f}",
            f"{row['test']:.3f}",
            style="bold" if row["own"] else None,
        )
    console.print(table)
    console.print(
        sentence(story.compared(), story.name, story.plain), highlight=False
    )
    names = ", ".join((MODEL, HISTORY, REPORT))
    console.print(
        f"Written to {folder}: {names}", highlight=False, soft_wrap=True
    )
