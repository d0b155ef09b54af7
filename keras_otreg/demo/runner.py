"""Runs the demo from the data to the files."""

import dataclasses
import pathlib
from typing import Any

import keras

from keras_otreg.data import few_shot
from keras_otreg.demo import closing, pictures
from keras_otreg.demo.choosing import chosen_strength
from keras_otreg.demo.methods import (
    NARROW,
    TRANSPORT,
    WIDE,
    Method,
    all_methods,
)
from keras_otreg.demo.progress import Stages, progress
from keras_otreg.demo.results import (
    Result,
    as_table,
    measured,
    write_csv,
)
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.source import trained_source
from keras_otreg.demo.task import Task
from keras_otreg.demo.training import accuracy, train, warm_up
from keras_otreg.files import written


def run(
    task: Task, settings: Settings, folder: pathlib.Path, console: Any
) -> list[Result]:
    """Trains all methods, prints one table and writes four files.

    Args:
        task: The data.
        settings: How much to do.
        folder: An existing folder to write to.
        console: A `rich.console.Console`.

    Returns:
        A `Result` for each method.
    """
    demo = _Demo(task, settings, folder, console)
    teacher = demo.source_network()
    results, students = demo.compare(all_methods(teacher, settings))
    demo.report(results)
    demo.write(results, teacher, students)
    return results


@dataclasses.dataclass(frozen=True)
class _Demo:
    task: Task
    settings: Settings
    folder: pathlib.Path
    console: Any

    def source_network(self):
        with progress(self.console, self.settings.source_epochs) as stages:
            stages.begin("source network")
            teacher = trained_source(
                self.task.source, self.settings, stages.advance
            )
        self.console.print(
            f"Source network: trained on {len(self.task.source.y)} digits; "
            "it reads "
            f"{accuracy(teacher, self.task.source_test):.3f} of other digits "
            f"of the source, and {accuracy(teacher, self.task.test):.3f} of "
            "the target's test digits before any transfer."
        )
        return teacher

    def compare(self, methods):
        """Results of all methods, and the last students of each."""
        results, students = [], {}
        with progress(self.console, self._trainings(methods)) as stages:
            for method in methods:
                result, student = self._measure(method, stages)
                results.append(result)
                students[method.student, method.name] = student
        return results, students

    def report(self, results):
        self.console.print(as_table(results))
        self.console.print(closing.how_measured(self.task, self.settings))
        self.console.print(closing.how_strong(self.settings))
        for sentence in closing.conclusions(results):
            self.console.print(sentence)

    def write(self, results, teacher, students):
        seeds = self.settings.reported_seeds
        student = students[WIDE, TRANSPORT]
        written(self.folder / "fine_tuned.keras", student.save)
        write_csv(results, seeds, self.folder / "table.csv")
        curves = self.folder / "learning_curves.png"
        pictures.draw_curves(results, self.settings, curves)
        plans = pictures.plans(
            teacher,
            students[WIDE, TRANSPORT],
            students[NARROW, TRANSPORT],
            self.task.pool,
            self.settings,
        )
        pictures.draw_plans(plans, self.folder / "plan.png")
        for sentence in closing.captions(plans):
            self.console.print(sentence)
        self.console.print(
            f"Written to {self.folder}: fine_tuned.keras (the student of "
            f"'{TRANSPORT}', seed {seeds[-1]}, a plain Keras model), "
            "table.csv, learning_curves.png, plan.png"
        )

    def _trainings(self, methods):
        regularised = [x for x in methods if x.default is not None]
        each = len(self.settings.strengths) * self.settings.draws
        return len(regularised) * each + len(methods) * self.settings.seeds

    def _measure(self, method: Method, stages: Stages):
        task, settings = self.task, self.settings
        stages.begin(f"{method.student}: {method.name}")
        strength = chosen_strength(method, task, settings, stages.advance)
        learner = method.build(strength)
        warm_up(learner, few_shot(*task.pool, settings.per_class)[0], settings)
        outcomes = []
        for seed in settings.reported_seeds:
            keras.utils.set_random_seed(seed)
            few, _ = few_shot(*task.pool, settings.per_class, seed)
            start = method.start()
            outcomes.append(train(learner, start, few, task.test, settings))
            stages.advance()
        result = measured(
            method.student, method.name, strength, learner, outcomes
        )
        return result, learner.student
