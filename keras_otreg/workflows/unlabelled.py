"""Pictures without labels in a command, and the labels that they get."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.data import PictureFiles
from keras_otreg.labelling.shares import NAMED, known_shares
from keras_otreg.workflows.classification import pictures_of
from keras_otreg.workflows.report import examples
from keras_otreg.workflows.stages import Trained

# Names of arrays that a stage keeps beside its predictions.
PROBABILITIES, WEIGHTS = "labels", "label weights"
# The first row that a file of shares may have.
HEADER = ["class", "share"]
# Pictures that a report shows as sure, and as unsure.
SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Pictures without labels, and the shares of classes among them.

    `shares` are a name, such as `"labelled"`, or a number for each class.
    """

    files: PictureFiles
    shares: Any

    @classmethod
    def of(
        cls,
        folder: str | os.PathLike[str],
        shares: Any,
        class_names: Sequence[str],
    ) -> "Unlabelled":
        """Find the pictures in a folder, at any depth, and read the shares.

        Raises:
            OSError: If the folder is not there.
            ValueError: If there are no pictures, the file of shares is not
                there, or the shares do not fit.
        """
        paths = pictures_of([folder])
        labels = np.zeros(len(paths), "int32")
        files = PictureFiles(paths, labels, list(class_names))
        if isinstance(shares, (str, os.PathLike)):
            if shares in NAMED:
                return cls(files, shares)
            shares = _read(pathlib.Path(shares))
        found = known_shares(shares, len(class_names), class_names)
        return cls(files, found.tolist())


def _read(path):
    """The shares in a CSV file with a class and its share in each row."""
    if not path.is_file():
        raise checks.invalid(
            f"one of {sorted(NAMED)}, or a CSV file with a class and its share "
            "in each row",
            f"'{path}', and there is no such file",
            argument="shares",
        )
    expected = f"rows of a class and its share in '{path}'"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
        if rows and rows[0] == HEADER:
            rows = rows[1:]
        shares = {name: float(share) for name, share in rows}
    except ValueError as error:
        raise checks.invalid(expected, str(error)) from error
    if len(shares) < len(rows):
        raise checks.invalid(expected, "two rows of one class")
    return shares


def shown_labels(trained: Trained, given: Unlabelled) -> dict[str, Any]:
    """What a report tells about labels."""
    labels = trained.predictions[PROBABILITIES]
    weights = trained.predictions[WEIGHTS]
    is_known = not isinstance(given.shares, str)
    known = given.shares if is_known else [None] * labels.shape[1]
    names, means = given.files.class_names, labels.mean(axis=0)
    order = np.argsort(-labels.max(axis=1), kind="stable")
    return {
        "count": len(weights),
        "labelled": int((weights > 0.0).sum()),
        "shares": [
            {"name": name, "known": own, "estimated": float(share)}
            for name, own, share in zip(names, known, means, strict=True)
        ],
        "is_known": is_known,
        "sure": examples(given.files, labels, order[:SHOWN]),
        "unsure": examples(given.files, labels, order[::-1][:SHOWN]),
    }
