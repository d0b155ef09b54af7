"""The command `evaluate`."""

import pathlib
from typing import Any

from keras_otreg.commands.options import add_common, add_model, arguments


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="test a trained model on a folder of pictures",
        description="Tests a model.keras that finetune, compress, joint or "
        "tune has written on pictures of its classes, which are read as in "
        "the training. With --out, also as a page with the confusion matrix "
        "and the most confident mistakes.",
    )
    evaluate.set_defaults(command=_run, refuse=evaluate.error)
    add_model(evaluate)
    evaluate.add_argument(
        "data",
        metavar="FOLDER",
        type=pathlib.Path,
        help="pictures as <class>/, or as test/<class>/",
    )
    evaluate.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="folder for evaluation.html and predictions.csv (default: none)",
    )
    add_common(evaluate, "nothing here: nothing is drawn at random")


def _run(options):
    if options.quiet and options.out is None:
        options.refuse("argument --quiet: without --out nothing would remain")
    from keras_otreg.workflows import evaluate

    given = arguments(options)
    del given["seed"]
    evaluate(**given)
