"""Runs the joint demo: digits learnt beside printed letters."""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np

from keras_otreg import plots
from keras_otreg.data import few_shot
from keras_otreg.data.letters import NAMES
from keras_otreg.demo import closing, networks
from keras_otreg.demo.joint_methods import ALONE, SHOWN, Joint
from keras_otreg.demo.pictures import draw_curves
from keras_otreg.demo.progress import progress
from keras_otreg.demo.results import (
    Result,
    as_table,
    measured,
    write_csv,
)
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.source import train_on
from keras_otreg.demo.task import Task
from keras_otreg.demo.training import accuracy, train, warm_up
from keras_otreg.files import written

STUDENT = "digits and letters"


def run_joint(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[Result]:
    """Trains all methods, prints one table and writes four files.

    Args:
        task: Letters as the source, digits as the target.
        settings: How much to do.
        folder: An existing folder to write to.
        console: A `rich.console.Console`.

    Returns:
        A `Result` for each method.
    """
    demo = _JointDemo(task, settings, folder, console)
    joint = Joint(demo.source_network(), task.source, settings)
    results, shown = demo.compare(joint)
    demo.report(results)
    demo.write(results, shown)
    return results


@dataclasses.dataclass(frozen=True)
class _JointDemo:
    task: Task
    settings: Settings
    folder: pathlib.Path
    console: Any

    def source_network(self):
        classes = len(np.unique(self.task.source.y))
        keras.utils.set_random_seed(self.settings.seed)
        model = networks.wide(self.settings, classes)
        with progress(self.console, self.settings.source_epochs) as stages:
            stages.begin("source network")
            train_on(self.task.source, model, self.settings, stages.advance)
        self.console.print(
            f"Source network: trained on {len(self.task.source.y)} pictures of "
            f"{classes} letters; it reads "
            f"{accuracy(model, self.task.source_test):.3f} of other letters."
        )
        return model

    def compare(self, joint):
        """Results of all methods, and what the picture is drawn from."""
        methods, results, shown = joint.methods(), [], None
        total = len(methods) * self.settings.seeds
        with progress(self.console, total) as stages:
            for method in methods:
                stages.begin(method.name)
                result, last = self._measure(joint, method, stages.advance)
                results.append(result)
                shown = last if method.name == SHOWN else shown
        return results, shown

    def report(self, results):
        self.console.print(as_table(results))
        self.console.print(closing.how_measured(self.task, self.settings))
        self.console.print(closing.how_strong(self.settings))
        self.console.print(closing.best(STUDENT, results))

    def write(self, results, shown):
        learner, transport = shown
        seeds = self.settings.reported_seeds
        written(self.folder / "joint.keras", learner.student.save)
        write_csv(results, seeds, self.folder / "table.csv")
        curves = self.folder / "learning_curves.png"
        draw_curves(results, self.settings, curves, {STUDENT: ALONE})
        x = self.task.test.x
        source_view = learner.model.source_model.predict_on_batch(x)
        target_view = learner.student.predict_on_batch(x)
        plans = keras.ops.convert_to_numpy(
            transport.plan(source_view, target_view)
        )
        names = [str(digit) for digit in range(plans.shape[-1])]
        figure = plots.class_plan(plans.mean(axis=0), NAMES, names)
        written(self.folder / "class_plan.png", figure.savefig)
        self.console.print(
            f"Written to {self.folder}: joint.keras (the student of '{SHOWN}', "
            f"seed {seeds[-1]}, a plain Keras model), table.csv, "
            "learning_curves.png, class_plan.png (which letters each digit "
            "leans on)"
        )

    def _measure(self, joint, method, advance):
        task, settings = self.task, self.settings
        outcomes = []
        for seed in settings.reported_seeds:
            keras.utils.set_random_seed(seed)
            few, _ = few_shot(*task.pool, settings.per_class, seed)
            learner, transport = joint.learner(method, few, seed)
            start = learner.student.get_weights()
            batches = joint.batches(method, few, seed)
            warm_up(learner, few, settings, batches)
            outcomes.append(
                train(learner, start, few, task.test, settings, batches)
            )
            advance()
        result = measured(STUDENT, method.name, None, learner, outcomes)
        return result, (learner, transport)
