"""Convert a trained model for other programs.

Converts a model.keras to a SavedModel of TensorFlow, to TFLite or to ONNX, by
the export of Keras. onnx needs pip install tf2onnx. classes.json is copied
beside it.
"""

from keras_otreg.commands import options
from keras_otreg.workflows.settings import FORMATS


def add(parser):
    options.add(parser, "model", "MODEL", options.MODEL)
    names = tuple(FORMATS)
    text = ", ".join(names)
    options.add(parser, "--format", "FORMAT", text, names, names[0])
    text = "file, or folder of a SavedModel"
    options.add(parser, "--out", "PATH", text, shown="beside the model")
    options.add_common(parser, options.NO_SEED)


def run(given):
    from keras_otreg.experiments.progress import say
    from keras_otreg.workflows.classification import export

    path = export(given.model, given.format, out=given.out)
    say(options.screen(given), f"Written: {path}")
