"""The command `export`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import add_common, add_model, screen

FORMATS = ("saved-model", "tflite", "onnx")


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    export = commands.add_parser(
        "export",
        help="convert a trained model for other programs",
        description="Converts a model.keras to a SavedModel of TensorFlow, to "
        "TFLite or to ONNX, by the export of Keras. onnx needs pip install "
        "tf2onnx. classes.json is copied beside it.",
    )
    export.set_defaults(command=_run)
    add_model(export)
    export.add_argument(
        "--format",
        metavar="FORMAT",
        choices=FORMATS,
        default="saved-model",
        help=f"{', '.join(FORMATS)} (default: saved-model)",
    )
    export.add_argument(
        "--out",
        metavar="PATH",
        type=pathlib.Path,
        help="file, or folder of a SavedModel (default: beside the model)",
    )
    add_common(export, "nothing here: nothing is drawn at random")


def _run(options):
    from keras_otreg.workflows import export

    console = screen(options)
    path = export(options.model, options.format, out=options.out)
    console.print(f"Written: {path}", highlight=False, soft_wrap=True)
