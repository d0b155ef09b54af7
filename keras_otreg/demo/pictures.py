"""The pictures of the demo, and what they say in numbers."""

import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from keras_otreg import plots
from keras_otreg.data import Labelled
from keras_otreg.demo import networks
from keras_otreg.demo.methods import BASELINES
from keras_otreg.demo.results import Result
from keras_otreg.demo.settings import Settings
from keras_otreg.features import capture
from keras_otreg.files import written
from keras_otreg.losses import RepresentationTransport

SAMPLES = 256
SAME = "same network, after"
BEFORE = "a quarter as wide, before"
AFTER = "a quarter as wide, after"


def plans(
    teacher: keras.Model,
    wide: keras.Model,
    narrow: keras.Model,
    data: Labelled,
    settings: Settings,
) -> dict[str, np.ndarray]:
    """The plans from a teacher to two students, and to the second untrained.

    Args:
        teacher: The source network.
        wide: The student of the same width, as trained with the last seed.
        narrow: The narrow one, likewise.
        data: Samples to see the neurons on.
        settings: Size of the networks, and the seeds.

    Returns:
        For the title of each, a plan as of `plan_between`.
    """
    keras.utils.set_random_seed(settings.reported_seeds[-1])
    students = {
        SAME: wide,
        BEFORE: networks.narrow(settings),
        AFTER: narrow,
    }
    return {
        title: plan_between(teacher, student, data)
        for title, student in students.items()
    }


def plan_between(
    teacher: keras.Model, student: keras.Model, data: Labelled
) -> np.ndarray:
    """The plan between the penalised layers, seen on some samples.

    Returns:
        Shape `(teacher neurons, student neurons)`.
    """
    found = []
    for model in (teacher, student):
        _, layers = capture(model, data.x[:SAMPLES], ["features"], False)
        found.append(layers["features"])
    return ops.convert_to_numpy(RepresentationTransport().plan(*found))


def draw_curves(
    results: Sequence[Result],
    settings: Settings,
    path: pathlib.Path,
    baselines: Mapping[str, str] = BASELINES,
) -> None:
    """Writes the learning curves: each method against its baseline.

    Args:
        results: What was measured.
        settings: The steps of the curves.
        path: File to write.
        baselines: For each student, the method to compare others with.
    """
    baselines = {
        student: next(
            x for x in results if (x.student, x.method) == (student, name)
        )
        for student, name in baselines.items()
    }
    panels = {}
    for result in results:
        baseline = baselines[result.student]
        if result is not baseline:
            panels[f"{result.method}\n({result.student})"] = {
                baseline.method: baseline.curves,
                result.method: result.curves,
            }
    steps = settings.steps_per_point * np.arange(1, settings.points + 1)
    written(path, plots.learning_curves(panels, steps).savefig)


def draw_plans(plans: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Writes the neuron-to-neuron plans."""
    written(path, plots.plan(plans, aligned=[SAME]).savefig)
