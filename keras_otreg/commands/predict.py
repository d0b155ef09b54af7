"""The command `predict`."""

import csv
import pathlib
import sys
from typing import Any

from keras_otreg.commands.options import add_common, add_model, screen

MOST = 3


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    predict = commands.add_parser(
        "predict",
        help="name the classes of pictures",
        description="Classifies pictures with a model.keras that finetune, "
        "compress, joint or tune has written, which are read as in the "
        "training. Prints the most probable classes of each.",
    )
    predict.set_defaults(command=_run)
    add_model(predict)
    predict.add_argument(
        "pictures",
        metavar="PICTURES",
        nargs="+",
        type=pathlib.Path,
        help="pictures, or folders that are searched for them",
    )
    predict.add_argument(
        "--csv",
        action="store_true",
        help="print comma-separated values: file, predicted class, its "
        "probability, and the probability of each class",
    )
    add_common(predict, "nothing here: nothing is drawn at random")


def _run(options):
    from keras_otreg.workflows import predict

    rows = predict(options.model, options.pictures)
    if options.csv or options.quiet:
        names = [*rows[0]["probabilities"]]
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "predicted", "probability", *names])
        for row in rows:
            values = row["probability"], *row["probabilities"].values()
            numbers = [f"{value:.4f}" for value in values]
            writer.writerow([row["file"], row["predicted"], *numbers])
        return
    console = screen(options)
    for row in rows:
        found = row["probabilities"]
        best = sorted(found, key=found.__getitem__, reverse=True)[:MOST]
        shown = ", ".join(f"{name} {found[name]:.1%}" for name in best)
        console.print(
            f"{row['file']}: {shown}", highlight=False, soft_wrap=True
        )
