"""The output folder of a command."""

import pathlib


def ready(folder: pathlib.Path) -> None:
    """Makes a folder, and checks that it can be written to."""
    from keras_otreg.workflows.output import output_folder

    output_folder(folder)
