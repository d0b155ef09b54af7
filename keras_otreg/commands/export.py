"""The command `export`."""

from typing import Any

from keras_otreg.commands import options

FORMATS = ("saved-model", "tflite", "onnx")


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "export",
        _run,
        "convert a trained model for other programs",
        "Converts a model.keras to a SavedModel of TensorFlow, to TFLite or "
        "to ONNX, by the export of Keras. onnx needs pip install tf2onnx. "
        "classes.json is copied beside it.",
    )
    options.add(parser, "model", "MODEL", options.MODEL)
    options.add(
        *(parser, "--format", "FORMAT", ", ".join(FORMATS), str, FORMATS[0]),
        choices=FORMATS,
    )
    text = "file, or folder of a SavedModel"
    options.add(parser, "--out", "PATH", text, shown="beside the model")
    options.add_common(parser, options.NO_SEED)


def _run(given):
    from keras_otreg.workflows import export

    console = options.screen(given)
    path = export(given.model, given.format, out=given.out)
    console.print(f"Written: {path}", highlight=False, soft_wrap=True)
