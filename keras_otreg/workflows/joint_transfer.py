"""Joint transfer: few pictures are learnt beside many of other classes."""

import dataclasses
import os
import pathlib

import keras
import numpy as np
import rich.console

from keras_otreg import checks, class_costs, losses, plots
from keras_otreg.data import PictureFiles, paired, picture_parts
from keras_otreg.files import whole
from keras_otreg.models import SourceTask, TransferModel
from keras_otreg.workflows.finetuning import few_pictures
from keras_otreg.workflows.heads import features_of, with_new_head
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.output import output_folder
from keras_otreg.workflows.project import Project, project, run_settings
from keras_otreg.workflows.report_data import HEAD_ONLY, PLAIN, ReportData
from keras_otreg.workflows.screen import console_for
from keras_otreg.workflows.stages import STAGES, Trained
from keras_otreg.workflows.summary import Result, summarised
from keras_otreg.workflows.training import LOSS, Training

JOINT = "joint transfer"
# Pictures of each class that the costs between classes are computed from.
MOST = 50


def joint(
    target: str | os.PathLike[str],
    source: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    out: str | os.PathLike[str] = "otreg-joint",
    shots: int | None = None,
    source_weight: float = 1.0,
    transport_weight: float = 1.0,
    image_size: int = 160,
    epochs: int = 20,
    patience: int = 8,
    batch_size: int = 32,
    learning_rate: float = 3e-4,
    seed: int = 0,
    quiet: bool = False,
) -> Result:
    """Fine-tune on pictures alone and beside others, and keep the better one.

    Args:
        target: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        source: Another one, of other classes; its training pictures are used.
        teacher: As for `finetune`.
        out: The output folder, which is made if need be.
        shots: Target pictures of each class to train on; all if not given.
        source_weight: Of the source task.
        transport_weight: Of the transport between the two heads.
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
        ValueError: If the pictures are not there, or the folder holds another
            run.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.joint("clothes", "shoes", shots=5)
        ```
    """
    task = _Task(
        target=pathlib.Path(target),
        source=pathlib.Path(source),
        teacher=teacher,
        out=pathlib.Path(out),
        shots=shots,
        source_weight=source_weight,
        transport_weight=transport_weight,
        image_size=image_size,
        options=Training(epochs, patience, batch_size, learning_rate, seed),
    )
    return task.run(console_for(quiet))


@dataclasses.dataclass(frozen=True)
class _Task:
    """The arguments of `joint`."""

    target: pathlib.Path
    source: pathlib.Path
    teacher: str | os.PathLike[str] | keras.Model
    out: pathlib.Path
    shots: int | None
    source_weight: float
    transport_weight: float
    image_size: int
    options: Training

    def run(self, console: rich.console.Console) -> Result:
        """Trains, and writes the files."""
        output_folder(self.out, self.target, self.source)
        checks.apart(self.target, self.source)
        teacher = teacher_named(self.teacher, self.image_size)
        shape = picture_shape(teacher, self.image_size)
        seed = self.options.seed
        parts = few_pictures(self.target, self.shots, seed)
        source = picture_parts(self.source, seed)["train"]
        features = features_of(teacher)
        classes = len(parts["train"].class_names)
        student = with_new_head(teacher, features, classes, seed)
        settings = run_settings(
            "joint",
            {**parts, "source": source},
            {"teacher": teacher},
            self.options,
            image_size=shape[0],
            source_weight=self.source_weight,
            transport_weight=self.transport_weight,
        )
        with project(
            self.out, settings, parts, shape, self.options, console
        ) as work:
            stages = _Stages(self, work, student, features, source)
            data = stages.report_data()
            work.write(data)
        return summarised(data, self.out, console)


@dataclasses.dataclass(frozen=True)
class _Stages:
    task: _Task
    work: Project
    student: keras.Model
    features: str
    source: PictureFiles

    def report_data(self) -> ReportData:
        """Trains; returns the data of the report."""
        head = self.work.train_head(self.student)
        plain = self.work.train("plain", PLAIN, head.model)
        found = self.work.stage("joint", JOINT, lambda: self._train(head.model))
        results = {HEAD_ONLY: head, PLAIN: plain, JOINT: found}
        task, train = self.task, self.work.trainer.parts["train"]
        return ReportData(
            title=f"Joint transfer: {task.target.resolve().name}",
            lead=f"{getattr(task.teacher, 'name', task.teacher)}, fine-tuned "
            f"on {len(train.paths)} pictures of {len(train.class_names)} "
            f"classes, beside {len(self.source.paths)} pictures of "
            f"{len(self.source.class_names)} other classes.",
            results=results,
            method=JOINT,
            plain=PLAIN,
            chosen=self.work.best(results),
            parts=self.work.trainer.parts,
            settings={
                "teacher": getattr(task.teacher, "name", task.teacher),
                "source": task.source,
                "source weight": task.source_weight,
                "transport weight": task.transport_weight,
                **task.options.shown(),
            },
            class_plan=self._class_plan(),
            strengths=("--transport-weight", "--source-weight"),
        )

    def _train(self, start: keras.Model) -> Trained:
        """The student that was trained beside a head for the source."""
        costs = self._costs()
        models = []

        def wrap(student):
            task = SourceTask(
                keras.layers.Dense(len(costs), "softmax", name="source_head"),
                at=self.features,
                loss=LOSS,
                weight=self.task.source_weight,
                transport=losses.ClassTransport(costs),
                transport_weight=self.task.transport_weight,
            )
            models.append(TransferModel(student, source_task=task))
            return models[0]

        trainer = self.work.trainer
        data = paired(trainer.shuffled(), trainer.shuffled(self.source))
        trained = trainer.train(JOINT, start, wrap, data=data)
        with whole(self._plan_file) as unfinished:
            np.save(unfinished, self._plan(models[0]))
        return trained

    @property
    def _plan_file(self):
        return self.work.run.folder / STAGES / "class_plan.npy"

    def _costs(self):
        """Distances between classes in the features of the teacher."""
        trainer, found = self.work.trainer, []
        for files in (self.source, trainer.parts["train"]):
            few = files.take(files.first_of_each(MOST))
            found += class_costs.extract(
                self.student, self.features, trainer.batches(few), verbose=0
            )
        return class_costs.normalise(class_costs.mkmmd(*found))

    def _plan(self, model):
        """The mean plan between both heads, on validation pictures."""
        loss = model.source_task.transport
        plans = [
            keras.ops.convert_to_numpy(
                loss.plan(
                    model.source_model(x, training=False),
                    model.student(x, training=False),
                )
            )
            for x, _ in self.work.trainer.fixed["validation"]
        ]
        return np.concatenate(plans).mean(axis=0)

    def _class_plan(self):
        target = self.work.trainer.parts["train"]
        with checks.whole_result(self._plan_file.with_name("joint.json")):
            plan = np.load(self._plan_file)
        return plots.class_plan(
            plan,
            self.source.class_names,
            target.class_names,
        )
