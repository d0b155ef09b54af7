"""The command `predict`."""

import csv
import sys
from typing import Any

from keras_otreg.commands import options

MOST = 3


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "predict",
        _run,
        "name the classes of pictures",
        "Classifies pictures with a model.keras that finetune, compress, "
        "joint or tune has written, preprocessed as in training. Prints the "
        "most probable classes of each.",
    )
    options.add(parser, "model", "MODEL", options.MODEL)
    text = "pictures, or folders with pictures at any depth"
    options.add(parser, "pictures", "PICTURES", text, nargs="+")
    parser.add_argument(
        "--csv",
        action="store_true",
        help="print comma-separated values: file, predicted class, its "
        "probability, and the probability of each class",
    )
    options.add_common(parser, options.NO_SEED)


def _run(given):
    from keras_otreg.workflows import predict

    rows = predict(given.model, given.pictures)
    if given.csv or given.quiet:
        names = [*rows[0]["probabilities"]]
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "predicted", "probability", *names])
        for row in rows:
            values = row["probability"], *row["probabilities"].values()
            numbers = [f"{value:.4f}" for value in values]
            writer.writerow([row["file"], row["predicted"], *numbers])
        return
    console = options.screen(given)
    for row in rows:
        found = row["probabilities"]
        best = sorted(found, key=found.__getitem__, reverse=True)[:MOST]
        shown = ", ".join(f"{name} {found[name]:.1%}" for name in best)
        text = f"{row['file']}: {shown}"
        console.print(text, highlight=False, soft_wrap=True)
