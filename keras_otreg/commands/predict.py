"""Name the classes of pictures.

Classifies pictures with a model.keras that finetune, compress, joint or tune
has written, preprocessed as in training. Prints the most probable classes of
each.
"""

import csv
import sys

from keras_otreg.commands import options

MOST = 3


def add(parser):
    options.add(parser, "model", "MODEL", options.MODEL)
    text = "pictures, or folders with pictures at any depth"
    options.add(parser, "pictures", "PICTURES", text, nargs="+")
    options.flag(
        parser,
        "--csv",
        "print comma-separated values: file, predicted class, its "
        "probability, and the probability of each class",
    )
    options.add_common(parser, options.NO_SEED)


def run(given):
    from keras_otreg.experiments.progress import say
    from keras_otreg.workflows.classification import predict

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
        say(console, f"{row['file']}: {shown}")
