"""Test a trained model on a folder of pictures.

Tests a model.keras that finetune, compress, joint or tune has written on
pictures of its classes, preprocessed as in training. With --out, also as a
page with the confusion matrix and the most confident mistakes.
"""

from keras_otreg.commands import options


def add(parser):
    options.add(parser, "model", "MODEL", options.MODEL)
    text = "pictures as <class>/, or as test/<class>/"
    options.add(parser, "data", "FOLDER", text)
    text = "folder for evaluation.html and predictions.csv"
    options.add(parser, "--out", "DIR", text)
    options.add_common(parser, options.NO_SEED)


def run(given):
    options.refuse_silence(given)
    from keras_otreg.workflows.classification import evaluate

    evaluate(**options.arguments(given, "seed"))
