"""The run of a command that trains: its stages, and the files at its end."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, heads
from keras_otreg.data import PictureFiles, read_pictures
from keras_otreg.experiments.progress import Progress, console_for, progress
from keras_otreg.features import fingerprint
from keras_otreg.files import whole
from keras_otreg.interpolation import best_between
from keras_otreg.labelling import solve_head_in_rounds
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.class_names import Classes, save_classifier
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.networks import without_batch_statistics
from keras_otreg.workflows.neurons import neurons
from keras_otreg.workflows.report import report_page
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
    best_title,
    score,
    summarised,
    to_keep,
)
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import (
    Run,
    Trained,
    output_folder,
    write_table,
)
from keras_otreg.workflows.training import (
    CROSSENTROPY,
    LOSS,
    BestEpoch,
    some,
)
from keras_otreg.workflows.unlabelled import PROBABILITIES, WEIGHTS, Unlabelled

# Pictures on which neurons are compared.
SEEN = 256
# Settings on which the results of all commands depend.
TRAINING = ("epochs", "patience", "batch_size", "learning_rate", "seed")


class Project:
    """A command that trains: its pictures, stages, and the files at its end.

    By `keep_statistics` batch normalisation keeps its statistics, which small
    batches of few pictures would make worse.
    """

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, PictureFiles],
        shape: tuple[int, int, int],
        settings: Settings,
        bar: Progress,
        keep_statistics: bool = True,
    ):
        self.run, self.parts, self.shape = run, parts, shape
        self.settings, self.bar = settings, bar
        self._keep_statistics = keep_statistics
        self.fixed = {k: self.batches(files) for k, files in parts.items()}

    def batches(self, files: PictureFiles, **options: Any) -> Any:
        """Batches of pictures in the order of their files, by default."""
        return read_pictures(
            files,
            self.shape[:2],
            self.settings.batch_size,
            channels=self.shape[2],
            seed=self.settings.seed,
            **options,
        )

    def shuffled(self, files: PictureFiles) -> Any:
        """Batches to train on, shuffled and mirrored at random."""
        return self.batches(files, shuffle=True, mirror=True)

    def predictions(self, model: keras.Model) -> dict[str, np.ndarray]:
        """Predicted probabilities of validation and test pictures."""
        return {
            part: model.predict(self.fixed[part], verbose=0)
            for part in ("validation", "test")
        }

    def stage(
        self, name: str, title: str, work: Callable[[], Trained]
    ) -> Trained:
        """Return the network of a stage, trained now or before.

        The time that `work` takes and the predictions are added to what it
        returns.
        """
        trained = self.run.read(name)
        how = "finished before"
        if trained is None:
            begin = time.perf_counter()
            made = work()
            seconds = time.perf_counter() - begin
            seen = {**self.predictions(made.model), **made.predictions}
            trained = dataclasses.replace(
                made, seconds=seconds, predictions=seen
            )
            self.run.write(name, trained)
            how = f"{seconds:.0f} s"
            if trained.history:
                epochs = len(trained.history)
                how = f"best epoch {trained.best} of {epochs}, {how}"
        reached, _ = self.score(trained)
        self.bar.say(f"{title}: validation accuracy {reached:.3f} ({how})")
        return trained

    def score(self, trained: Trained) -> tuple[float, float]:
        """Validation accuracy and minus the cross-entropy."""
        labels = self.parts["validation"].labels
        return score(trained.predictions["validation"], labels)

    def best(self, results: Mapping[str, Trained]) -> str:
        """Title of the network that is best in validation."""
        return best_title(results, self.parts["validation"].labels)

    def solve_head(self, student: keras.Model) -> Trained:
        """The stage that solves the last layer of a network, which changes.

        The layers below run once for each picture and its mirror image.
        """

        def work():
            validation = self.fixed["validation"]
            heads.solve_head(
                student, self.with_mirrored(), validation=validation
            )
            return Trained(student)

        return self.stage("head", HEAD_ONLY, work)

    def label(self, start: Trained, given: Unlabelled) -> Trained:
        """The stage that solves the head on unlabelled pictures too.

        Their labels are kept beside the predictions.
        """

        def work():
            student = copy_of(start.model)
            labels = solve_head_in_rounds(
                student,
                self.with_mirrored(),
                self.batches(given.files),
                shares=given.shares,
                validation=self.fixed["validation"],
            ).labels
            kept = {
                PROBABILITIES: labels.probabilities,
                WEIGHTS: labels.sample_weight,
            }
            return Trained(student, predictions=kept)

        return self.stage("labels", LABELS, work)

    def with_mirrored(self) -> Any:
        """Batches of training pictures, and then of their mirror images."""
        pictures = self.fixed["train"]
        mirrored = pictures.map(lambda x, y: (x[:, :, ::-1], y))
        return pictures.concatenate(mirrored)

    def interpolate(
        self, start: Trained, tuned: Mapping[str, Trained]
    ) -> dict[str, Trained]:
        """The last stage: between a start and the best of what it became."""
        best = tuned[self.best(tuned)].model

        def work():
            validation = self.fixed["validation"]
            share, found = best_between(start.model, best, validation)
            return Trained(found, share=share)

        # After more trials another network may be the best.
        name = f"between-{fingerprint(best)[:12]}"
        return {BETWEEN: self.stage(name, BETWEEN, work)}

    def train(
        self, name: str, title: str, start: keras.Model, *wrap: Any, **how: Any
    ) -> Trained:
        """The stage that trains all of a network, as `trained` does."""
        return self.stage(
            name, title, lambda: self.trained(title, start, *wrap, **how)
        )

    def trained(
        self,
        title: str,
        start: keras.Model,
        wrap: Callable[[keras.Model], keras.Model] = lambda student: student,
        *,
        data: Any = None,
        learning_rate: float | None = None,
    ) -> Trained:
        """Train a copy of a plain network, and return its best epoch.

        `wrap` returns the model to train, such as a `TransferModel` around the
        copy. The data are the training pictures and the learning rate is that
        of the settings if not given.
        """
        settings = self.settings
        keras.utils.set_random_seed(settings.seed)
        student = copy_of(start)
        if self._keep_statistics:
            without_batch_statistics(student)
        model = wrap(student)
        crossentropy = keras.metrics.SparseCategoricalCrossentropy(CROSSENTROPY)
        model.compile(
            keras.optimizers.Adam(learning_rate or settings.learning_rate),
            LOSS,
            metrics=["accuracy", crossentropy],
        )
        best = BestEpoch(student, settings.patience)
        logs = model.fit(
            self.shuffled(self.parts["train"]) if data is None else data,
            validation_data=self.fixed["validation"],
            epochs=settings.epochs,
            callbacks=[best, self.bar.watch(title, settings.epochs)],
            # A data set has its own order.
            shuffle=False,
            verbose=0,
        ).history
        history = [
            {"epoch": k + 1, **{name: float(x[k]) for name, x in logs.items()}}
            for k in range(len(logs["val_accuracy"]))
        ]
        return Trained(copy_of(start, student), history, best.epoch)

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
            values = method.draw(self.settings.seed + k, **draw)
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
        folder = self.run.folder
        names = ("learning_rate", "batch_size", "seed")
        own = {k.replace("_", " "): getattr(self.settings, k) for k in names}
        data = ReportData(
            results=results,
            method=method,
            plain=plain,
            chosen=to_keep(results, self.parts["validation"].labels),
            parts=self.parts,
            settings={**shown, **own},
            **more,
        )
        classes = Classes(self.parts["train"].class_names, self.shape)
        save_classifier(results[data.chosen].model, folder / MODEL, classes)
        rows = [
            {"stage": title, **row}
            for title, result in results.items()
            for row in result.history
        ]
        write_table(folder / HISTORY, rows)
        page = report_page(data, self.shape)
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
        files, pictures = self.some(self.parts["validation"], SEEN)
        found = neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}

    def some(
        self, files: PictureFiles, most: int
    ) -> tuple[PictureFiles, np.ndarray]:
        """Return at most some of the files, drawn at random, and pictures."""
        return some(files, most, self.settings.seed, self.shape)


def begin(settings: Settings, *pictures: pathlib.Path) -> None:
    """Make the output folder, outside of the pictures; be quiet if wanted."""
    console_for(settings.quiet)
    output_folder(settings.folder, *pictures)


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
    for package in ("jinja2", "matplotlib", "PIL"):
        checks.installed(package, "pictures", "Reports")
    settled = {
        "command": command,
        **{f"{part} pictures": files for part, files in parts.items()},
        **{name: getattr(settings, name) for name in TRAINING},
        "keep_statistics": keep_statistics,
        "image_size": shape[0],
        **others,
    }
    run = Run(settings.folder, settled)
    counts = [f"{len(x.paths)} for {part}" for part, x in parts.items()]
    console = console_for(settings.quiet)
    console.print(
        f"Pictures of {len(parts['train'].class_names)} classes at "
        f"{shape[0]} x {shape[1]} pixels: {', '.join(counts)}",
        highlight=False,
    )
    with progress(console) as bar:
        yield Project(run, parts, shape, settings, bar, keep_statistics)
