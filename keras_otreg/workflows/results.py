"""Results of the commands that train: scores, sentences, a `Result`."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import rich.console
import rich.table

from keras_otreg.data import PictureFiles
from keras_otreg.experiments.progress import say
from keras_otreg.workflows.neurons import Neurons
from keras_otreg.workflows.stages import Trained

# Level of significance of McNemar's test.
LEVEL = 0.05
# Probabilities below it count as this: their logarithm is finite.
LEAST = 1e-7


def is_correct(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class is the label, of shape `(pictures,)`."""
    return probabilities.argmax(axis=-1) == labels


def score(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy and minus the cross-entropy: the larger score is better."""
    own = probabilities[np.arange(len(labels)), labels]
    crossentropy = -np.log(np.maximum(own, LEAST)).mean()
    right = is_correct(probabilities, labels)
    return float(np.mean(right)), -float(crossentropy)


def p_value(first: int, second: int) -> float:
    """P-value of McNemar's exact test, of what one network alone gets right."""
    differ = first + second
    tail = sum(math.comb(differ, k) for k in range(min(first, second) + 1))
    # Whole numbers: of 1024 pictures on, their powers are no floats.
    return min(1.0, 2 * tail / 2**differ)


def confusion(
    probabilities: np.ndarray, labels: np.ndarray, classes: int
) -> np.ndarray:
    """Counts of pictures by class (rows) and predicted class (columns)."""
    predicted = labels * classes + probabilities.argmax(axis=-1)
    counts = np.bincount(predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def surest(
    probabilities: np.ndarray, labels: np.ndarray, correct: bool, most: int
) -> np.ndarray:
    """Rows of right or wrong predictions, the surest first."""
    rows = np.flatnonzero(is_correct(probabilities, labels) == correct)
    sureness = probabilities[rows].max(axis=-1)
    rows = rows[np.argsort(-sureness, kind="stable")]
    if correct:
        # First the surest of each class, then the second of each.
        found = labels[rows]
        turn = [np.sum(found[:k] == found[k]) for k in range(len(rows))]
        rows = rows[np.argsort(turn, kind="stable")]
    return rows[:most]


# Titles of networks.
HEAD_ONLY, PLAIN = "solved head", "plain fine-tuning"
# Of a head that was solved on pictures without labels too.
LABELS = "head with transported labels"
# Of a head that was solved with the variation of other classes.
VARIED = "head with source variation"
HEADS = HEAD_ONLY, LABELS, VARIED
BETWEEN = "interpolated weights"
MODEL, HISTORY, REPORT = "model.keras", "history.csv", "report.html"
CLASSES, TRIALS = "classes.json", "trials.csv"


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained network, and the files about it.

    Attributes:
        model: The network that is best in validation, a plain Keras model.
        chosen: Its title in `rows`.
        class_names: In the order of its outputs.
        rows: A row for each network: its `title`, its accuracies on the
            `validation` and `test` pictures, its `gain` in validation over
            the first one, its `best` epoch, of how many `epochs`, or the
            `share` of interpolated weights, and the `seconds` that it took.
        summary: Which network was chosen, and how the method compares.
        folder: Holds `model.keras`, `classes.json`, `history.csv` and
            `report.html`.
    """

    model: keras.Model
    chosen: str
    class_names: list[str]
    rows: list[dict[str, Any]]
    summary: str
    folder: pathlib.Path

    @property
    def model_path(self) -> pathlib.Path:
        """Path of the network's file."""
        return self.folder / MODEL

    @property
    def report_path(self) -> pathlib.Path:
        """Path of the report."""
        return self.folder / REPORT


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Data of a report.

    `results` are networks by titles: that of the method, that which it is
    compared with (`plain`), and the one in `model.keras` (`chosen`); `others`
    were not trained here. `neurons` are compared on the pictures `seen`.
    Options of the command are `strengths`, `search` and `more`.
    """

    results: Mapping[str, Trained]
    method: str
    plain: str
    chosen: str
    parts: Mapping[str, PictureFiles]
    settings: Mapping[str, Any]
    title: str
    lead: str
    neurons: Neurons | None = None
    seen: PictureFiles | None = None
    class_plan: Any = None
    near_classes: Sequence[Mapping[str, Any]] = ()
    labels: Any = None
    narrowed: Any = None
    others: Sequence[Mapping[str, Any]] = ()
    strengths: Sequence[str] = ("--weight",)
    search: str | None = None
    more: str = ""

    @property
    def is_head_only(self) -> bool:
        """Whether only the head of the chosen network was trained."""
        return self.chosen in HEADS

    def score(self, title: str, part: str) -> tuple[float, float]:
        """Accuracy and minus cross-entropy of a network on a part."""
        predictions = self.results[title].predictions[part]
        return score(predictions, self.parts[part].labels)

    def comparison(self) -> str:
        """Sentence that compares the method with `plain` on test pictures."""
        labels = self.parts["test"].labels
        first, second = (
            is_correct(self.results[title].predictions["test"], labels)
            for title in (self.method, self.plain)
        )
        counts = (
            f"Of {len(labels)} test pictures, {self.method} classifies "
            f"{first.sum()} correctly and {self.plain} {second.sum()}"
        )
        only = int((first & ~second).sum()), int((second & ~first).sum())
        if not any(only):
            return f"{counts}: the same ones."
        p = p_value(*only)
        outcome = "better" if only[0] > only[1] else "worse"
        outcome += " by more than chance"
        if p > LEVEL:
            outcome = "the difference is within chance"
        return (
            f"{counts}. They differ in {sum(only)}: {outcome} (McNemar's "
            f"test, p = {p:.2g})."
        )

    def choice(self) -> str:
        """Sentence about which network `model.keras` is, and why."""
        scores = {k: self.score(k, "validation") for k in self.results}
        own = scores.pop(self.chosen)
        is_best = own >= max(scores.values(), default=own)
        count = len(self.parts["validation"].paths)
        why = f", the best on the {count} validation pictures"
        if not is_best:
            why = (
                "; no other is better by more than one standard error on the "
                f"{count} validation pictures"
            )
        found = f"model.keras is the network of {self.chosen!r}{why}: accuracy "
        if self.results[self.chosen].is_start:
            found = f"Training of all layers brought nothing: {found}"
        others = [f"{k} {reached:.3f}" for k, (reached, _) in scores.items()]
        found += f"{own[0]:.3f}"
        found += f" ({', '.join(others)})." if others else "."
        tied = [
            f"{title} has {-loss:.3f}"
            for title, (reached, loss) in scores.items()
            if is_best and reached == own[0] and loss != own[1]
        ]
        if tied:
            found += (
                f" Of equal accuracies the lower cross-entropy decides: it has "
                f"{-own[1]:.3f}, {', '.join(tied)}."
            )
        return found

    def advice(self) -> str | None:
        """Sentence about the one thing to try next, if there is one."""
        result = self.results[self.chosen]
        if result.is_start:
            told = f"If there are pictures without labels, try {self.more}."
            return told if self.more else None
        if self.chosen == self.plain:
            cure = f"a smaller {' or '.join(self.strengths)}"
            if self.search:
                cure += f", or search one with {self.search}"
            if self.narrowed is not None:
                cure = "a larger network, or more --epochs"
            ahead = f"{self.plain} is ahead of {self.method}"
            return f"In validation {ahead}: try {cure}."
        if result.history and result.best == len(result.history):
            return "The last epoch was the best one: try more --epochs."
        return None

    def rows(self) -> list[dict[str, Any]]:
        """A row for each network."""
        first = next(iter(self.results))
        before, _ = self.score(first, "validation")
        rows = [{"gain": None, **row} for row in self.others]
        for title, trained in self.results.items():
            reached, _ = self.score(title, "validation")
            rows.append(
                {
                    "title": title,
                    "validation": reached,
                    "gain": None if title == first else reached - before,
                    "test": self.score(title, "test")[0],
                    "best": trained.best,
                    "epochs": len(trained.history),
                    "share": trained.share,
                    "seconds": trained.seconds,
                    "chosen": title == self.chosen,
                }
            )
        return rows


def ended(row: Mapping[str, Any]) -> str:
    """Where a training ended: its best epoch, or the share."""
    if row["epochs"]:
        return f"{row['best']} of {row['epochs']}"
    share = row.get("share")
    return "" if share is None else f"share {share:g}"


def summarised(
    data: ReportData, folder: pathlib.Path, console: rich.console.Console
) -> Result:
    """Print a table, the summary and where the files are; return the result."""
    table = rich.table.Table(
        "", "validation", "test", "best epoch", title="Accuracy (gain)"
    )
    for row in data.rows():
        gain = "" if row["gain"] is None else f" ({row['gain']:+.3f})"
        table.add_row(
            f"{row['title']} = {MODEL}" if row["chosen"] else row["title"],
            f"{row['validation']:.3f}{gain}",
            f"{row['test']:.3f}",
            ended(row),
            style="bold" if row["chosen"] else None,
        )
    console.print(table)
    lines = [data.choice(), data.comparison()]
    for line in (*lines, data.advice()):
        if line:
            console.print(line, highlight=False)
    files = (MODEL, CLASSES, HISTORY, TRIALS, REPORT)
    names = ", ".join(name for name in files if (folder / name).exists())
    say(console, f"Written to {folder}: {names}")
    return Result(
        model=data.results[data.chosen].model,
        chosen=data.chosen,
        class_names=data.parts["train"].class_names,
        rows=data.rows(),
        summary=" ".join(lines),
        folder=folder,
    )
