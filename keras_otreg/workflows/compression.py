"""Compression: a small network learns with the help of a large one."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import keras
import rich.console

from keras_otreg import checks
from keras_otreg.workflows.findings import accuracy
from keras_otreg.workflows.finetuning import few_pictures
from keras_otreg.workflows.heads import classifier, place_of
from keras_otreg.workflows.layers import known_layers, main_layers
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.network_file import network_in
from keras_otreg.workflows.networks import picture_shape
from keras_otreg.workflows.output import output_folder
from keras_otreg.workflows.project import Project, project, run_settings
from keras_otreg.workflows.report_data import ReportData
from keras_otreg.workflows.screen import console_for
from keras_otreg.workflows.summary import Result, summarised
from keras_otreg.workflows.training import Training

ALONE, TEACHER = "the student alone", "the teacher"
# Stages where a method acts, beside the layer before the head.
PLACES = 3
# What did best at all stages of a narrow student, see the page of concepts.
WEIGHTS = {"alignment": 1.0}


def compress(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    student: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "otreg-compress",
    method: str = "alignment",
    at: Sequence[str] = (),
    weight: float | None = None,
    shots: int | None = None,
    image_size: int = 160,
    epochs: int = 60,
    patience: int = 20,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
    quiet: bool = False,
) -> Result:
    """Train a student alone and beside a teacher, and keep the better one.

    Args:
        model: Path of the large network, a `.keras` file.
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        student: Path of the small network, which starts with its weights.
        out: The output folder, which is made if need be.
        method: `"alignment"`, or another method that acts between layers.
        at: Layers of the student, each as `"layer"` or as
            `"layer=layer of the teacher"`; the ends of up to three blocks and
            the layers before the heads if none is given.
        weight: The strength; 1 for `"alignment"`, else the middle of what a
            search draws from, if not given.
        shots: Pictures of each class to train on; all if not given.
        image_size: Height and width of pictures where the networks take any.
        epochs: Passes over the pictures, at most.
        patience: Epochs without progress in validation that end a training.
        batch_size: Pictures in a batch.
        learning_rate: Of Adam.
        seed: Of all that is drawn at random.
        quiet: Whether to print nothing.

    Returns:
        The `Result`.

    Raises:
        OSError: If a network or the folder cannot be used.
        ValueError: If the pictures or a layer are not there, the networks take
            other pictures, or the folder holds another run.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.compress(
            "tuned/model.keras", "clothes", "small.keras"
        )
        ```
    """
    task = _Task(
        model=pathlib.Path(model),
        data=pathlib.Path(data),
        student=pathlib.Path(student),
        out=pathlib.Path(out),
        method=method,
        at=tuple(at),
        weight=weight or WEIGHTS.get(method),
        shots=shots,
        image_size=image_size,
        options=Training(
            *(epochs, patience, batch_size, learning_rate, seed),
            keep_statistics=False,
        ),
    )
    return task.run(console_for(quiet))


@dataclasses.dataclass(frozen=True)
class _Task:
    """The arguments of `compress`."""

    model: pathlib.Path
    data: pathlib.Path
    student: pathlib.Path
    out: pathlib.Path
    method: str
    at: tuple[str, ...]
    weight: float | None
    shots: int | None
    image_size: int
    options: Training

    def run(self, console: rich.console.Console) -> Result:
        """Trains, and writes the files."""
        output_folder(self.out, self.data)
        teacher = network_in(self.model, "model")
        student = network_in(self.student, "student")
        shape = picture_shape(student, self.image_size, "student")
        checks.same_pictures(picture_shape(teacher, shape[0], "model"), shape)
        parts = few_pictures(self.data, self.shots, self.options.seed)
        classes = len(parts["train"].class_names)
        student = classifier(student, classes, self.options.seed, "student")
        places = self._places(teacher, student)
        method = Method(self.method, places, self.weight)
        method.check(student, teacher)
        settings = run_settings(
            "compress",
            parts,
            {"model": teacher, "student": student},
            self.options,
            method=self.method,
            at=places,
            weight=self.weight,
            image_size=shape[0],
        )
        with project(
            self.out, settings, parts, shape, self.options, console
        ) as work:
            data = self._report_data(work, method, teacher, student)
            work.write(data)
        return summarised(data, self.out, console)

    def _places(self, teacher, student):
        """The student's layers, and the teacher's that belong to them."""
        if self.at:
            pairs = [one.partition("=") for one in self.at]
            places = {at: teacher_at or at for at, _, teacher_at in pairs}
        else:
            stages = [main_layers(x, PLACES) for x in (student, teacher)]
            # The last ones of both: the first ones of the deeper are left out.
            count = min(map(len, stages))
            places = dict(zip(*(x[-count:] for x in stages), strict=True))
            places[place_of(student)] = place_of(teacher)
        known_layers(student, [*places], str(self.student))
        known_layers(teacher, [*places.values()], str(self.model))
        return places

    def _report_data(
        self,
        work: Project,
        method: Method,
        teacher: keras.Model,
        student: keras.Model,
    ) -> ReportData:
        alone = work.train("plain", ALONE, student)
        found = work.train(
            "method", method.title, student, lambda x: method.model(x, teacher)
        )
        results = {ALONE: alone, method.title: found}
        chosen = work.best(results)
        # The layer before the head has most to do with the classes.
        place = list(method.places.items())[-1]
        train = work.trainer.parts["train"]
        weights = [f"{x.count_params():,}" for x in (student, teacher)]
        return ReportData(
            title=f"Compressed: {self.model.stem}",
            lead=f"{self.student.name}, with {weights[0]} instead of "
            f"{weights[1]} weights, has learnt from {self.model.name} on "
            f"{len(train.paths)} pictures.",
            results=results,
            method=method.title,
            plain=ALONE,
            chosen=chosen,
            parts=work.trainer.parts,
            **work.neurons(
                *(teacher, results[chosen].model, place, method.loss()),
                same=False,
            ),
            settings={
                "model": self.model,
                "student": self.student,
                "method": method.title,
                **method.settings(),
                **self.options.shown(),
            },
            others=_of_teacher(work.trainer, teacher),
        )


def _of_teacher(trainer, teacher):
    """The teacher's accuracies, if it predicts the same classes."""
    classes = len(trainer.parts["train"].class_names)
    if teacher.output_shape != (None, classes):
        return {}
    found = trainer.predictions(teacher)
    reached = {
        part: accuracy(found[part], trainer.parts[part].labels)
        for part in found
    }
    return {TEACHER: {**reached, "epochs": 0, "chosen": False}}
