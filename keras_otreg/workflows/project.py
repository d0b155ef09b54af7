"""The run of a command that trains: its stages, and the files at its end."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, data, heads
from keras_otreg.data.splits import check_draw
from keras_otreg.experiments.networks import without_batch_statistics
from keras_otreg.experiments.progress import Progress, console_for, progress
from keras_otreg.experiments.statistics import is_clearly_more
from keras_otreg.features import fingerprint
from keras_otreg.files import write_text
from keras_otreg.interpolation import best_between
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows import results, stages
from keras_otreg.workflows.classification import Classes, save_classifier
from keras_otreg.workflows.neurons import Neurons
from keras_otreg.workflows.report import report_page
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import Trained

LOSS = "sparse_categorical_crossentropy"
# Of the task alone: `val_loss` contains penalties.
CROSSENTROPY = "crossentropy"
# Pictures on which neurons are compared.
SEEN = 256
# Settings on which the results of all commands depend.
TRAINING = ("epochs", "patience", "batch_size", "learning_rate", "seed")
# Name of the array that a solved head keeps beside its predictions.
SOURCE_PLAN = "source plan"


class BestEpoch(keras.callbacks.Callback):
    """Callback that restores the best epoch and stops without progress.

    That is the one of the highest validation accuracy and, of equal ones, the
    lowest cross-entropy. `network` is what is restored, `epoch` counts from 1.
    """

    def __init__(self, network: keras.Model, patience: int):
        super().__init__()
        self.epoch = 0
        self._network, self._patience = network, patience
        self._reached = (-1.0, 0.0)
        self._weights: list[np.ndarray] = []

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Keep the weights if the epoch is better than all before."""
        logs = logs or {}
        reached = logs["val_accuracy"], -logs[f"val_{CROSSENTROPY}"]
        if reached > self._reached:
            self.epoch, self._reached = epoch + 1, reached
            self._weights = self._network.get_weights()
        elif epoch + 1 - self.epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore the weights of the best epoch."""
        self._network.set_weights(self._weights)


@dataclasses.dataclass
class Project:
    """A command that trains: its pictures, stages, and the files at its end.

    By `keep_statistics` batch normalisation keeps its statistics, which small
    batches of few pictures would make worse.
    """

    run: stages.Run
    parts: Mapping[str, data.PictureFiles]
    shape: tuple[int, int, int]
    settings: Settings
    bar: Progress
    keep_statistics: bool = True

    def __post_init__(self):
        self.fixed = {k: self.batches(x) for k, x in self.parts.items()}

    def batches(self, files: data.PictureFiles, **options: Any) -> Any:
        """Batches of pictures in the order of their files, by default."""
        options |= {"channels": self.shape[2], "seed": self.settings.seed}
        size = self.settings.batch_size
        return data.read_pictures(files, self.shape[:2], size, **options)

    def shuffled(self, files: data.PictureFiles) -> Any:
        """Batches to train on, shuffled and mirrored at random."""
        return self.batches(files, shuffle=True, mirror=True)

    def with_mirrored(self) -> Any:
        """Batches of training pictures, and then of their mirror images."""
        pictures = self.fixed["train"]
        mirrored = pictures.map(lambda x, y: (x[:, :, ::-1], y))
        return pictures.concatenate(mirrored)

    def predictions(self, model: keras.Model) -> dict[str, np.ndarray]:
        """Predicted probabilities of validation and test pictures."""
        return {
            part: model.predict(self.fixed[part], verbose=0)
            for part in ("validation", "test")
        }

    def stage(
        self, name: str, title: str, work: Callable[[], Trained]
    ) -> Trained:
        """Return the network of a stage, trained now by `work`, or before."""
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
        return results.score(trained.predictions["validation"], labels)

    def best(self, networks: Mapping[str, Trained]) -> str:
        """Title of the network that is best in validation."""
        return max(networks, key=lambda title: self.score(networks[title]))

    def kept(self, networks: Mapping[str, Trained]) -> str:
        """Title of the network to keep, by its predictions in validation.

        It is the best one if that is better than the best solved head by more
        than one standard error of the difference, and else the head.
        """
        best = self.best(networks)
        solved = {k: v for k, v in networks.items() if k in results.HEADS}
        if not solved or best in solved:
            return best
        head, labels = self.best(solved), self.parts["validation"].labels
        seen = (networks[x].predictions["validation"] for x in (best, head))
        correct = (results.is_correct(each, labels) for each in seen)
        return best if is_clearly_more(*correct) else head

    def solve_head(
        self,
        student: keras.Model,
        name: str = "head",
        title: str = results.HEAD_ONLY,
        source: Any = None,
    ) -> Trained:
        """The stage that solves the head of a network, which changes."""

        def work():
            how = {"validation": self.fixed["validation"], "source": source}
            solved = heads.solve_head(student, self.with_mirrored(), **how)
            kept = {} if source is None else {SOURCE_PLAN: solved.source_plan}
            return Trained(student, predictions=kept)

        return self.stage(name, title, work)

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
        return {results.BETWEEN: self.stage(name, results.BETWEEN, work)}

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
        batches: Any = None,
        learning_rate: float | None = None,
    ) -> Trained:
        """Train what `wrap` makes of a copy, and return its best epoch."""
        settings = self.settings
        keras.utils.set_random_seed(settings.seed)
        student = copy_of(start)
        if self.keep_statistics:
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
            self.shuffled(self.parts["train"]) if batches is None else batches,
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

    def finish(
        self,
        networks: Mapping[str, Trained],
        method: str,
        plain: str,
        shown: Mapping[str, Any],
        **more: Any,
    ) -> results.Result:
        """Write the network to keep, all epochs and the report."""
        folder = self.run.folder
        names = ("learning_rate", "batch_size", "seed")
        own = {k.replace("_", " "): getattr(self.settings, k) for k in names}
        chosen = self.kept(networks)
        about = method, plain, chosen, self.parts, {**shown, **own}
        report = results.ReportData(networks, *about, **more)
        classes = Classes(self.parts["train"].class_names, self.shape)
        save_classifier(networks[chosen].model, folder / results.MODEL, classes)
        logs = {title: trained.history for title, trained in networks.items()}
        rows = [{"stage": k, **row} for k, log in logs.items() for row in log]
        stages.write_table(folder / results.HISTORY, rows)
        write_text(folder / results.REPORT, report_page(report, self.shape))
        return results.summarised(report, folder, self.bar.console)

    def neurons(self, teacher, student, place, loss, same):
        """`Neurons` on validation pictures `seen`, for a `ReportData`."""
        files, pictures = self.some(self.parts["validation"], SEEN)
        found = Neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}

    def some(
        self, files: data.PictureFiles, most: int
    ) -> tuple[data.PictureFiles, np.ndarray]:
        """Return at most some of the files, drawn at random, and pictures."""
        return some(files, most, self.settings.seed, self.shape)


def some(
    files: data.PictureFiles, most: int, seed: int, shape: tuple[int, int, int]
) -> tuple[data.PictureFiles, np.ndarray]:
    """Return at most some of the files, drawn at random, and their pictures."""
    rows = np.random.default_rng(seed).permutation(len(files.paths))[:most]
    files = files.take(np.sort(rows))
    batches = data.read_pictures(files, shape[:2], channels=shape[2])
    pictures = [keras.ops.convert_to_numpy(x) for x, _ in batches]
    return files, np.concatenate(pictures)


def begin(
    settings: Settings, *folders: pathlib.Path
) -> dict[str, data.PictureFiles]:
    """Make the output folder, and return the parts of the first other one."""
    console_for(settings.quiet)
    stages.output_folder(settings.folder, *folders)
    parts = data.picture_parts(folders[0], settings.seed)
    if settings.shots is not None:
        check_draw(settings.shots, parts["train"].counts(), "shots")
        parts["train"] = data.draw_pictures(
            parts["train"], settings.shots, settings.seed
        )
    return parts


@contextlib.contextmanager
def started(
    command: str,
    settings: Settings,
    parts: Mapping[str, data.PictureFiles],
    shape: tuple[int, int, int],
    others: Mapping[str, Any],
    *,
    keep_statistics: bool = True,
) -> Iterator[Project]:
    """Begin or resume a command whose results depend on `others` by name."""
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
    run = stages.Run(settings.folder, settled)
    counts = [f"{len(x.paths)} for {part}" for part, x in parts.items()]
    console = console_for(settings.quiet)
    console.print(
        f"Pictures of {len(parts['train'].class_names)} classes at "
        f"{shape[0]} x {shape[1]} pixels: {', '.join(counts)}",
        highlight=False,
    )
    with progress(console) as bar:
        yield Project(run, parts, shape, settings, bar, keep_statistics)
