"""The run of a command that trains: its stages, and the files at its end."""

import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import rich.console

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
from keras_otreg.workflows.training import Trainer
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
        found = self.stage(
            *(name, BETWEEN),
            lambda: self.trainer.interpolate(start.model, best),
        )
        return {BETWEEN: found}

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
        found: list[tuple[Any, int, Trained, dict[str, Any]]] = []
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
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in values.items()
        )
        self.bar.say(f"best trial: {rows[0]['trial']} ({shown})")
        return trained, values

    def best(self, results: Mapping[str, Trained]) -> str:
        """Title of the network that is best in validation."""
        return max(results, key=lambda title: self.score(results[title]))

    def report(
        self,
        results: Mapping[str, Trained],
        method: str,
        plain: str,
        shown: Mapping[str, Any],
        **more: Any,
    ) -> ReportData:
        """The data of a report, whose chosen network is best in validation."""
        return ReportData(
            results=results,
            method=method,
            plain=plain,
            chosen=self.best(results),
            parts=self.trainer.parts,
            settings={**shown, **self.trainer.shown()},
            **more,
        )

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
        """`neurons` on validation pictures `seen`, for a `ReportData`."""
        files, pictures = self.some(self.trainer.parts["validation"], SEEN)
        found = neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}

    def some(
        self, files: PictureFiles, most: int
    ) -> tuple[PictureFiles, np.ndarray]:
        """Return at most some of the files, drawn at random, and pictures."""
        rng = np.random.default_rng(self.trainer.settings.seed)
        files = files.take(np.sort(rng.permutation(len(files.paths))[:most]))
        pictures = np.concatenate(
            [
                keras.ops.convert_to_numpy(batch)
                for batch, _ in self.trainer.batches(files)
            ]
        )
        return files, pictures


def begin(settings: Settings, *pictures: pathlib.Path) -> rich.console.Console:
    """Return the console; make the output folder, outside of the pictures."""
    console = console_for(settings.quiet)
    output_folder(settings.folder, *pictures)
    return console


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


def trained_project(
    command: str,
    settings: Settings,
    parts: Mapping[str, PictureFiles],
    networks: Mapping[str, keras.Model],
    shape: tuple[int, int, int],
    work: Callable[[Project], ReportData],
    console: rich.console.Console,
    identity: Mapping[str, Any],
    *,
    keep_statistics: bool = True,
    digests: Mapping[str, PictureFiles] | None = None,
) -> Result:
    """Run a command that trains, and write its files.

    The results depend on the networks, by their roles, on more pictures
    (`digests`) and on more settings (`identity`). `work` trains the stages of
    a project, and returns the data of the report.

    Raises:
        ValueError: If the folder holds a run with other settings.
    """
    check_report()
    seen = {**parts, **(digests or {})}
    settled = {
        "command": command,
        **{f"{part} pictures": _digest(x) for part, x in seen.items()},
        **{role: fingerprint(model)[:12] for role, model in networks.items()},
        **{name: getattr(settings, name) for name in TRAINING},
        "keep_statistics": keep_statistics,
        "image_size": shape[0],
        **identity,
    }
    run = Run(settings.folder, settled)
    counts = [f"{len(x.paths)} for {part}" for part, x in parts.items()]
    console.print(
        f"Pictures of {len(parts['train'].class_names)} classes at "
        f"{shape[0]} x {shape[1]} pixels: {', '.join(counts)}",
        highlight=False,
    )
    with progress(console) as bar:
        trainer = Trainer(parts, shape, settings, bar, keep_statistics)
        project = Project(run, trainer, bar)
        data = work(project)
        project.write(data)
    return summarised(data, settings.folder, console)


def _digest(files):
    """Digest of some pictures, which does not depend on their folder."""
    digest = hashlib.sha256(json.dumps(files.class_names).encode())
    for path, label in zip(files.paths, files.labels, strict=True):
        content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        names = pathlib.Path(path).parts[-2:]
        digest.update(json.dumps([*names, int(label), content]).encode())
    return digest.hexdigest()[:12]
