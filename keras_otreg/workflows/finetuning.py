"""Fine-tuning of a network on one's own pictures."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import keras
import rich.console

from keras_otreg.data import PictureFiles, draw_pictures, picture_parts
from keras_otreg.data.splits import check_draw
from keras_otreg.workflows.heads import features_of, place_of, with_new_head
from keras_otreg.workflows.layers import known_layers
from keras_otreg.workflows.methods import Method, default_place
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.output import output_folder
from keras_otreg.workflows.project import Project, project, run_settings
from keras_otreg.workflows.report_data import HEAD_ONLY, PLAIN, ReportData
from keras_otreg.workflows.screen import console_for
from keras_otreg.workflows.summary import Result, summarised
from keras_otreg.workflows.training import Training


def finetune(
    data: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    out: str | os.PathLike[str] = "otreg-finetune",
    method: str = "transport",
    at: Sequence[str] = (),
    weight: float | None = None,
    trials: int = 0,
    shots: int | None = None,
    image_size: int = 160,
    epochs: int = 20,
    patience: int = 8,
    batch_size: int = 32,
    learning_rate: float = 3e-4,
    seed: int = 0,
    quiet: bool = False,
) -> Result:
    """Fine-tune a network on a folder of pictures.

    Trains a new head, then all of the network without a penalty, then all of
    it under the penalty, and keeps what is best in validation. Called again
    with the same folder, it trains only what is missing.

    Args:
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        teacher: The network to start from: `"efficientnet-lite0"`, the path of
            a `.keras` file, a name of `keras.applications`, or a model.
        out: The output folder, which is made if need be.
        method: `"transport"`, or another `--method` of `keras-otreg finetune`.
        at: Paths of the layers where it acts; the one before the head if none
            is given.
        weight: Its strength; the middle of what a search draws from if not
            given.
        trials: Trainings under the penalty with strengths drawn at random;
            0 for one with `weight`.
        shots: Pictures of each class to train on; all if not given.
        image_size: Height and width of pictures where the network takes any.
        epochs: Passes over the pictures, at most.
        patience: Epochs without progress in validation that end a training.
        batch_size: Pictures in a batch.
        learning_rate: Of Adam.
        seed: Of all that is drawn at random.
        quiet: Whether to print nothing.

    Returns:
        The `Result`.

    Raises:
        OSError: If the teacher or the folder cannot be used.
        ValueError: If the pictures or a layer are not there, or the folder
            holds a run with other settings.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.finetune("clothes", shots=20, out="tuned")
        print(result.summary)
        result.model.predict(pictures)
        ```
    """
    options = Training(epochs, patience, batch_size, learning_rate, seed)
    task = _Task(
        command="finetune",
        data=pathlib.Path(data),
        teacher=teacher,
        out=pathlib.Path(out),
        method=method,
        at=tuple(at),
        weight=weight,
        trials=trials,
        shots=shots,
        image_size=image_size,
        options=options,
    )
    return task.run(console_for(quiet))


def tune(
    data: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    out: str | os.PathLike[str] = "otreg-tune",
    method: str = "transport",
    at: Sequence[str] = (),
    everywhere: bool = False,
    trials: int = 20,
    shots: int | None = None,
    image_size: int = 160,
    epochs: int = 5,
    patience: int = 8,
    batch_size: int = 32,
    learning_rate: float = 3e-4,
    seed: int = 0,
    quiet: bool = False,
) -> Result:
    """Search where and how strongly a penalty should act.

    It is `finetune` with trials that also draw the layer and the learning
    rate.

    Args:
        data: As for `finetune`.
        teacher: Likewise.
        out: Likewise.
        method: Likewise.
        at: Paths of layers; each trial draws one of them.
        everywhere: Whether each trial acts at all of them instead.
        trials: Trainings with values drawn at random. Called again with more,
            it goes on.
        shots: As for `finetune`.
        image_size: Likewise.
        epochs: Likewise.
        patience: Likewise.
        batch_size: Likewise.
        learning_rate: Of the fine-tuning that the trials are compared with.
        seed: As for `finetune`.
        quiet: Likewise.

    Returns:
        The `Result`.

    Raises:
        OSError: As `finetune`.
        ValueError: Likewise.
        ImportError: Likewise.

    Example:
        ```python
        layers = ["block5_out", "avg_pool"]
        result = otreg.workflows.tune("clothes", at=layers, trials=10)
        ```
    """
    options = Training(epochs, patience, batch_size, learning_rate, seed)
    task = _Task(
        command="tune",
        data=pathlib.Path(data),
        teacher=teacher,
        out=pathlib.Path(out),
        method=method,
        at=tuple(at),
        weight=None,
        trials=trials,
        shots=shots,
        image_size=image_size,
        options=options,
        draw={"one_place": not everywhere, "rate": True},
    )
    return task.run(console_for(quiet))


def few_pictures(
    folder: pathlib.Path, shots: int | None, seed: int
) -> dict[str, PictureFiles]:
    """The parts of a folder, with few pictures to train on if wanted."""
    parts = picture_parts(folder, seed)
    if shots is not None:
        train = parts["train"]
        check_draw(shots, train.counts(), "shots")
        parts["train"] = draw_pictures(train, shots, seed)
    return parts


@dataclasses.dataclass(frozen=True)
class _Task:
    """The arguments of `finetune` and `tune`, and the options of a draw."""

    command: str
    data: pathlib.Path
    teacher: str | os.PathLike[str] | keras.Model
    out: pathlib.Path
    method: str
    at: tuple[str, ...]
    weight: float | None
    trials: int
    shots: int | None
    image_size: int
    options: Training
    draw: Mapping[str, bool] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the teacher."""
        if isinstance(self.teacher, keras.Model):
            return self.teacher.name
        return str(self.teacher)

    def run(self, console: rich.console.Console) -> Result:
        """Trains, and writes the files."""
        output_folder(self.out, self.data)
        teacher = teacher_named(self.teacher, self.image_size)
        shape = picture_shape(teacher, self.image_size)
        parts = few_pictures(self.data, self.shots, self.options.seed)
        features = features_of(teacher)
        classes = len(parts["train"].class_names)
        student = with_new_head(teacher, features, classes, self.options.seed)
        default = default_place(student, self.method, place_of(teacher))
        places = known_layers(
            student, self.at or (default,), self.name, features
        )
        method = Method(self.method, {x: x for x in places}, self.weight)
        method.check(student)
        settings = run_settings(
            self.command,
            parts,
            {"teacher": teacher},
            self.options,
            image_size=shape[0],
            method=self.method,
            at=places,
            weight=self.weight,
            **self.draw,
        )
        with project(
            self.out, settings, parts, shape, self.options, console
        ) as work:
            data = self._report_data(work, method, student)
            work.write(data)
        return summarised(data, self.out, console)

    def _report_data(
        self, work: Project, method: Method, student: keras.Model
    ) -> ReportData:
        head = work.train_head(student)
        plain = work.train("plain", PLAIN, head.model)
        found, values = self._by_method(work, method, head.model)
        results = {HEAD_ONLY: head, PLAIN: plain, method.title: found}
        chosen = work.best(results)
        shown = {**self.options.shown(), **method.settings(values)}
        if "learning_rate" in values:
            shown["learning rate"] = values["learning_rate"]
        neurons = {}
        # With its head alone trained, a network has the teacher's neurons.
        if chosen != HEAD_ONLY:
            at = values.get("at", next(iter(method.places))).split(" + ")[0]
            networks = head.model, results[chosen].model
            loss = method.loss(values)
            neurons = work.neurons(*networks, (at, at), loss, same=True)
        train = work.trainer.parts["train"]
        return ReportData(
            title=f"Fine-tuned: {self.data.resolve().name}",
            lead=f"{self.name}, fine-tuned on {len(train.paths)} pictures of "
            f"{len(train.class_names)} classes.",
            results=results,
            method=method.title,
            plain=PLAIN,
            chosen=chosen,
            parts=work.trainer.parts,
            settings={
                "teacher": self.name,
                "method": method.title,
                **shown,
                "trials": self.trials or "none: the defaults",
            },
            # A strength that was searched is not to be searched once more.
            search=None if self.trials else "--tune 10",
            **neurons,
        )

    def _by_method(self, work, method, start):
        """The network that the method has trained, and the values of it."""
        if self.trials:
            return work.search(method, start, self.trials, **self.draw)
        return work.train("method", method.title, start, method.model), {}
