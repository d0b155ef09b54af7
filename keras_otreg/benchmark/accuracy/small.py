"""Transfers between digits and letters, with small networks."""

import functools
import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_otreg.benchmark.accuracy.tasks import SmallTask
from keras_otreg.data import (
    Labelled,
    few_shot,
    letters,
    mnist5k,
    optdigits,
    with_unlabelled,
)
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import Problem
from keras_otreg.experiments.settings import Settings
from keras_otreg.experiments.source import trained_source
from keras_otreg.files import whole

# Of each class of the target, held out to choose strengths by.
VALIDATION = 25


def small_problem(entry: SmallTask, seed: int, folder: pathlib.Path) -> Problem:
    """Prepare a transfer between digits or letters.

    Trained source networks are kept in the folder.

    Raises:
        ImportError: If the data are not installed.
        ValueError: If a class has fewer samples than are to be labelled.
    """
    settings = Settings(
        seed=seed,
        points=1,
        steps=entry.steps,
        learning_rate=entry.learning_rate,
        per_class=entry.labels,
    )
    data, test = (
        _of_classes(x, entry.target_classes) for x in _data(entry.target)
    )
    validation, pool = few_shot(*data, VALIDATION, seed=0)
    entry.check_labels(pool.y)
    network, stages = {
        "same": (networks.wide, networks.WIDE_STAGES),
        "narrow": (networks.narrow, networks.NARROW_STAGES),
    }[entry.student]
    return Problem(
        teacher=_teacher(entry, settings, folder),
        student=functools.partial(network, settings, int(pool.y.max()) + 1),
        pretrained=entry.student == "same",
        pool=pool,
        validation=validation,
        test=test,
        places=networks.places(stages),
        batches=functools.partial(_batches, entry.unlabelled),
        settings=settings,
    )


@functools.cache
def _data(name: str) -> tuple[Labelled, Labelled]:
    if name == "letters":
        test, train = few_shot(*letters(), per_class=20, seed=0)
        return train, test
    return mnist5k() if name == "mnist5k" else optdigits()


def _of_classes(data: Labelled, ends: tuple[int, ...]) -> Labelled:
    """The samples of some classes, which then count from 0."""
    if not ends:
        return data
    first, last = ends
    chosen = (data.y >= first) & (data.y <= last)
    return Labelled(data.x[chosen], data.y[chosen] - first)


def _teacher(entry, settings, folder):
    """The source network, trained once for all tasks and for good."""
    name = "-".join(map(str, (entry.source, *entry.source_classes)))
    path = folder / f"{name}-{settings.source_epochs}-{settings.seed}.keras"
    if not path.exists():
        data = _of_classes(_data(entry.source)[0], entry.source_classes)
        model = trained_source(data, settings)
        with whole(path) as unfinished:
            model.save(unfinished)
    # Read also where it was just trained: a resumed run sees the same.
    return keras.saving.load_model(path, compile=False)


def _batches(
    unlabelled: int, few: Labelled, others: Labelled, seed: int, usable: bool
) -> tf.data.Dataset | None:
    if not (unlabelled and usable):
        return None
    return with_unlabelled(
        tuple(few),
        np.asarray(others.x),
        batch_size=len(few.y),
        unlabelled_batch_size=unlabelled,
        seed=seed,
    ).repeat()
