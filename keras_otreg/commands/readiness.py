"""The output folder of a command."""

import pathlib


def ready(folder: pathlib.Path) -> None:
    """Make a folder, and check that it can be written to."""
    from keras_otreg.workflows.output import output_folder

    output_folder(folder)
