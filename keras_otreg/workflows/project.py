"""The run of a command that trains: its stages, and the files at its end."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg.data import PictureFiles, draw_pictures, picture_parts
from keras_otreg.data.splits import check_draw
from keras_otreg.experiments.progress import Progress, console_for, progress
from keras_otreg.features import fingerprint
from keras_otreg.files import whole
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.class_names import Classes, save_classifier
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.neurons import neurons
from keras_otreg.workflows.report import check_report, report_page
from keras_otreg.workflows.results import (
    BETWEEN,
    HEAD_ONLY,
    HISTORY,
    LABELS,
    MODEL,
    REPORT,
    TRIALS,
    ReportData,
    Result,
    score,
    summarised,
)
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import (
    Run,
    Trained,
    output_folder,
    write_table,
)
from keras_otreg.workflows.training import Trainer, some
from keras_otreg.workflows.unlabelled import Unlabelled

# Pictures on which neurons are compared.
SEEN = 256
# Settings on which the results of all commands depend.
TRAINING = ("epochs", "patience", "batch_size", "learning_rate", "seed")


class Project:
    """The stages of a command, and the files that it writes at the end."""

    def __init__(self, run: Run, trainer: Trainer, bar: Progress):
        self.run = run
        self.trainer = trainer
        self.bar = bar

    def stage(
        self, name: str, title: str, work: Callable[[], Trained]
    ) -> Trained:
        """Return the network of a stage, trained now or before."""
        how = "finished before"
        was_there = self.run.is_finished(name)
        trained = self.run.stage(name, work)
        reached, _ = self.score(trained)
        if not was_there:
            how = f"{trained.seconds:.0f} s"
            if trained.history:
                epochs = len(trained.history)
                how = f"best epoch {trained.best} of {epochs}, {how}"
        self.bar.say(f"{title}: validation accuracy {reached:.3f} ({how})")
        return trained

    def score(self, trained: Trained) -> tuple[float, float]:
        """Validation accuracy and minus the cross-entropy."""
        labels = self.trainer.parts["validation"].labels
        return score(trained.predictions["validation"], labels)

    def solve_head(self, student: keras.Model) -> Trained:
        """The stage that solves a new head."""
        return self.stage(
            "head", HEAD_ONLY, lambda: self.trainer.solve_head(student)
        )

    def label(self, start: Trained, given: Unlabelled) -> Trained:
        """The stage that solves the head on unlabelled pictures too."""
        return self.stage(
            "labels",
            LABELS,
            lambda: self.trainer.solve_in_rounds(copy_of(start.model), given),
        )

    def interpolate(
        self, start: Trained, tuned: Mapping[str, Trained]
    ) -> dict[str, Trained]:
        """The last stage: between a start and the best of what it became."""
        best = tuned[self.best(tuned)].model
        # After more trials another network may be the best.
        name = f"between-{fingerprint(best)[:12]}"
        return {
            BETWEEN: self.stage(
                *(name, BETWEEN),
                lambda: self.trainer.interpolate(start.model, best),
            )
        }

    def train(
        self,
        name: str,
        title: str,
        start: keras.Model,
        *wrap: Any,
        **options: Any,
    ) -> Trained:
        """A stage that trains all of a network, by `Trainer.train`."""

        def work():
            return self.trainer.train(title, start, *wrap, **options)

        return self.stage(name, title, work)

    def search(
        self, method: Method, start: keras.Model, trials: int, **draw: bool
    ) -> tuple[Trained, dict[str, Any]]:
        """Train with values drawn at random, and return the best trial.

        A trial is a stage: those of an earlier search with the same settings
        are not trained again, and the weights of the best one are kept.
        """
        found: list[tuple[dict[str, Any], Trained, dict[str, Any]]] = []
        failure = None
        for k in range(trials):
            values = method.draw(self.trainer.settings.seed + k, **draw)
            title = f"{method.title}, trial {k + 1} of {trials}"
            try:
                trained = self.train(
                    f"trial-{k:03}",
                    title,
                    start,
                    lambda x, v=values: method.model(x, values=v),
                    learning_rate=values.get("learning_rate"),
                )
            except FloatingPointError as error:
                failure = error
                self.bar.say(f"{title}: diverged")
                continue
            accuracy, minus_loss = self.score(trained)
            row = {
                "trial": k + 1,
                "validation accuracy": accuracy,
                "validation cross-entropy": -minus_loss,
            }
            found.append((row | values, trained, values))
        if not found:
            raise FloatingPointError(f"every trial diverged: {failure}")
        found.sort(key=lambda one: self.score(one[1]), reverse=True)
        write_table(self.run.folder / TRIALS, [row for row, _, _ in found])
        row, trained, values = found[0]
        shown = ", ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in values.items()
        )
        self.bar.say(f"best trial: {row['trial']} ({shown})")
        return trained, values

    def best(self, results: Mapping[str, Trained]) -> str:
        """Title of the network that is best in validation."""
        return max(results, key=lambda title: self.score(results[title]))

    def finish(
        self,
        results: Mapping[str, Trained],
        method: str,
        plain: str,
        shown: Mapping[str, Any],
        **more: Any,
    ) -> Result:
        """Write the best model in validation, all epochs and the report.

        `shown` are settings for the report, `more` other fields of its
        `ReportData`.
        """
        trainer, folder = self.trainer, self.run.folder
        names = ("learning_rate", "batch_size", "seed")
        own = {k.replace("_", " "): getattr(trainer.settings, k) for k in names}
        data = ReportData(
            results=results,
            method=method,
            plain=plain,
            chosen=self.best(results),
            parts=trainer.parts,
            settings={**shown, **own},
            **more,
        )
        classes = Classes(trainer.parts["train"].class_names, trainer.shape)
        save_classifier(results[data.chosen].model, folder / MODEL, classes)
        rows = [
            {"stage": title, **row}
            for title, result in results.items()
            for row in result.history
        ]
        write_table(folder / HISTORY, rows)
        page = report_page(data, trainer.shape)
        with whole(folder / REPORT) as unfinished:
            unfinished.write_text(page, "utf-8")
        return summarised(data, folder, self.bar.console)

    def neurons(
        self,
        teacher: keras.Model,
        student: keras.Model,
        place: tuple[str, str],
        loss: Any,
        same: bool,
    ) -> dict[str, Any]:
        """`neurons` on validation pictures `seen`, for a `ReportData`."""
        files, pictures = self.some(self.trainer.parts["validation"], SEEN)
        found = neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}

    def some(
        self, files: PictureFiles, most: int
    ) -> tuple[PictureFiles, np.ndarray]:
        """Return at most some of the files, drawn at random, and pictures."""
        trainer = self.trainer
        return some(files, most, trainer.settings.seed, trainer.shape)


def begin(settings: Settings, *pictures: pathlib.Path) -> None:
    """Make the output folder, outside of the pictures; be quiet if wanted."""
    console_for(settings.quiet)
    output_folder(settings.folder, *pictures)


def few_pictures(
    folder: pathlib.Path, settings: Settings
) -> dict[str, PictureFiles]:
    """The parts of a folder, with `shots` training pictures of each class."""
    parts = picture_parts(folder, settings.seed)
    if settings.shots is not None:
        train = parts["train"]
        check_draw(settings.shots, train.counts(), "shots")
        parts["train"] = draw_pictures(train, settings.shots, settings.seed)
    return parts


@contextlib.contextmanager
def started(
    command: str,
    settings: Settings,
    parts: Mapping[str, PictureFiles],
    shape: tuple[int, int, int],
    others: Mapping[str, Any],
    *,
    keep_statistics: bool = True,
) -> Iterator[Project]:
    """Begin or resume a command that trains, and yield its `Project`.

    `others` are networks, pictures and settings by name, on which the results
    depend too.

    Raises:
        ValueError: If the folder holds a run with other settings.
    """
    check_report()
    settled = {
        "command": command,
        **{f"{part} pictures": files for part, files in parts.items()},
        **{name: getattr(settings, name) for name in TRAINING},
        "keep_statistics": keep_statistics,
        "image_size": shape[0],
        **others,
    }
    run = Run(settings.folder, {k: _digest(x) for k, x in settled.items()})
    counts = [f"{len(x.paths)} for {part}" for part, x in parts.items()]
    console = console_for(settings.quiet)
    console.print(
        f"Pictures of {len(parts['train'].class_names)} classes at "
        f"{shape[0]} x {shape[1]} pixels: {', '.join(counts)}",
        highlight=False,
    )
    with progress(console) as bar:
        trainer = Trainer(parts, shape, settings, bar, keep_statistics)
        yield Project(run, trainer, bar)


def _digest(value):
    """Digest of a network or of pictures, whatever folder they are in."""
    if isinstance(value, keras.Model):
        return fingerprint(value)[:12]
    if not isinstance(value, PictureFiles):
        return value
    digest = hashlib.sha256(json.dumps(value.class_names).encode())
    for path, label in zip(value.paths, value.labels, strict=True):
        content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        names = pathlib.Path(path).parts[-2:]
        digest.update(json.dumps([*names, int(label), content]).encode())
    return digest.hexdigest()[:12]
