"""Stages and output files of the commands that train."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import rich.console

from keras_otreg.data import PictureFiles
from keras_otreg.features import fingerprint
from keras_otreg.files import whole
from keras_otreg.workflows.class_names import Classes, save_classifier
from keras_otreg.workflows.findings import score
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.neurons import neurons
from keras_otreg.workflows.report import check_report, report_page
from keras_otreg.workflows.report_data import HEAD_ONLY, ReportData
from keras_otreg.workflows.screen import Screen, screen
from keras_otreg.workflows.stages import Run, Trained, write_table
from keras_otreg.workflows.training import Trainer, Training

MODEL, HISTORY, REPORT = "model.keras", "history.csv", "report.html"
TRIALS = "trials.csv"
# Pictures on which neurons are compared.
SEEN = 256


class Project:
    """The stages of a command, and the files that it writes at the end.

    Args:
        run: Stages that are finished.
        trainer: Trains networks.
        screen: Shows progress.
    """

    def __init__(self, run: Run, trainer: Trainer, screen: Screen):
        self.run = run
        self.trainer = trainer
        self.screen = screen

    def stage(
        self, name: str, title: str, work: Callable[[], Trained]
    ) -> Trained:
        """Return the network of a stage, trained now or before.

        Args:
            name: Of its files.
            title: Shown to people.
            work: Trains.
        """
        was_there = self.run.is_finished(name)
        trained = self.run.stage(name, work)
        reached, _ = self.score(trained)
        how = (
            "finished before"
            if was_there
            else f"best epoch {trained.best} of {len(trained.history)}, "
            f"{trained.seconds:.0f} s"
        )
        self.screen.say(f"{title}: validation accuracy {reached:.3f} ({how})")
        return trained

    def score(self, trained: Trained) -> tuple[float, float]:
        """Validation accuracy and minus the cross-entropy."""
        labels = self.trainer.parts["validation"].labels
        return score(trained.predictions["validation"], labels)

    def train_head(self, student: keras.Model) -> Trained:
        """The stage that trains a new head."""
        return self.stage(
            "head",
            HEAD_ONLY,
            lambda: self.trainer.train_head(HEAD_ONLY, student),
        )

    def train(
        self,
        name: str,
        title: str,
        start: keras.Model,
        *wrap: Any,
        **options: Any,
    ) -> Trained:
        """A stage that trains all of a network.

        Args:
            name: Of its files.
            title: Shown to people.
            start: As for `Trainer.train`.
            *wrap: Likewise.
            **options: Likewise.
        """
        return self.stage(
            name,
            title,
            lambda: self.trainer.train(title, start, *wrap, **options),
        )

    def search(
        self, method: Method, start: keras.Model, trials: int, **draw: bool
    ) -> tuple[Trained, dict[str, Any]]:
        """Train with values drawn at random, and return the best trial.

        A trial is a stage: those of an earlier search with the same settings
        are not trained again, and the weights of the best one are kept.

        Args:
            method: The method.
            start: The network that every trial starts from.
            trials: How many.
            **draw: For `Method.draw`.

        Returns:
            The network of the best trial, and its values.

        Raises:
            FloatingPointError: If the numbers of all trials diverge.
        """
        found: list[tuple[Any, int, Trained, dict[str, Any]]] = []
        failure = None
        for k in range(trials):
            values = method.draw(self.trainer.options.seed + k, **draw)
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
                self.screen.say(f"{title}: diverged")
                continue
            found.append((self.score(trained), -k, trained, values))
        if not found:
            raise FloatingPointError(f"every trial diverged: {failure}")
        found.sort(key=lambda one: one[:2], reverse=True)
        rows = [
            {
                "trial": 1 - k,
                "validation accuracy": reached[0],
                "validation cross-entropy": -reached[1],
                **values,
            }
            for reached, k, _, values in found
        ]
        write_table(self.run.folder / TRIALS, rows)
        trained, values = found[0][2:]
        shown = ", ".join(
            f"{name} {value:.3g}"
            if isinstance(value, float)
            else f"{name} {value}"
            for name, value in values.items()
        )
        self.screen.say(f"best trial: {rows[0]['trial']} ({shown})")
        return trained, values

    def best(self, results: Mapping[str, Trained]) -> str:
        """Title of the network that is best in validation."""
        return max(results, key=lambda title: self.score(results[title]))

    def write(self, data: ReportData) -> None:
        """Write the model, the table of all epochs and the report."""
        folder, shape = self.run.folder, self.trainer.shape
        names = self.trainer.parts["train"].class_names
        model = data.results[data.chosen].model
        save_classifier(model, folder / MODEL, Classes(names, shape))
        rows = [
            {"stage": title, **row}
            for title, result in data.results.items()
            for row in result.history
        ]
        write_table(folder / HISTORY, rows)
        page = report_page(data, shape)
        with whole(folder / REPORT) as unfinished:
            unfinished.write_text(page, "utf-8")

    def neurons(
        self,
        teacher: keras.Model,
        student: keras.Model,
        place: tuple[str, str],
        loss: Any,
        same: bool,
    ) -> dict[str, Any]:
        """The neurons of two layers, on validation pictures.

        Args:
            teacher: The teacher.
            student: The student.
            place: Paths of the student's layer and of the teacher's.
            loss: The loss between them.
            same: Whether the student began as a copy of the teacher.

        Returns:
            `neurons` and the pictures `seen`, for a `ReportData`.
        """
        files = self.trainer.parts["validation"]
        rng = np.random.default_rng(self.trainer.options.seed)
        rows = np.sort(rng.permutation(len(files.paths))[:SEEN])
        files = files.take(rows)
        pictures = np.concatenate(
            [
                keras.ops.convert_to_numpy(batch)
                for batch, _ in self.trainer.batches(files)
            ]
        )
        found = neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}


def run_settings(
    command: str,
    parts: Mapping[str, PictureFiles],
    networks: Mapping[str, keras.Model],
    options: Training,
    **more: Any,
) -> dict[str, Any]:
    """Settings by which the results of a command are recognised."""
    return {
        "command": command,
        **{f"{part} pictures": _digest(x) for part, x in parts.items()},
        **{role: fingerprint(model)[:12] for role, model in networks.items()},
        **vars(options),
        **more,
    }


def _digest(files):
    """A short name for some pictures, wherever their folder lies."""
    digest = hashlib.sha256(json.dumps(files.class_names).encode())
    for path, label in zip(files.paths, files.labels, strict=True):
        content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        names = pathlib.Path(path).parts[-2:]
        digest.update(json.dumps([*names, int(label), content]).encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def project(
    out: pathlib.Path,
    settings: Mapping[str, Any],
    parts: Mapping[str, PictureFiles],
    shape: tuple[int, int, int],
    options: Training,
    console: rich.console.Console,
) -> Iterator[Project]:
    """A `Project` whose progress is shown within the block."""
    check_report()
    run = Run(out, settings)
    counts = ", ".join(
        f"{len(files.paths)} for {part}" for part, files in parts.items()
    )
    console.print(
        f"Pictures of {len(parts['train'].class_names)} classes at "
        f"{shape[0]} x {shape[1]} pixels: {counts}",
        highlight=False,
    )
    with screen(console) as shown:
        yield Project(run, Trainer(parts, shape, options, shown), shown)
