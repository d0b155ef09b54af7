"""Chooses the strength of a regulariser, without looking at test data."""

import dataclasses

import keras
import numpy as np

from keras_otreg.data import few_shot
from keras_otreg.demo.methods import Method
from keras_otreg.demo.progress import Advance
from keras_otreg.demo.settings import Settings
from keras_otreg.demo.task import Task
from keras_otreg.demo.training import train


def chosen_strength(
    method: Method, task: Task, settings: Settings, advance: Advance
) -> float | None:
    """The best of a few strengths, by training labels that were held out.

    Every method has the same strengths to choose from and as many trainings
    to do so, with draws of labels that the reported results do not use.

    Args:
        method: What to choose for.
        task: The data, of which the test set is not read.
        settings: The strengths, and how many draws to try each with.
        advance: Called after each training.

    Returns:
        A strength; `None` for a method without.
    """
    if method.default is None or not settings.strengths:
        return method.default
    # Only the end of each training counts.
    settings = dataclasses.replace(settings, points=1)
    means = [
        _held_out_accuracy(method, strength, task, settings, advance)
        for strength in settings.strengths
    ]
    return settings.strengths[int(np.argmax(means))]


def _held_out_accuracy(method, strength, task, settings, advance):
    learner = method.build(strength)
    accuracies = []
    for seed in settings.choosing_seeds:
        keras.utils.set_random_seed(seed)
        few, held_out = few_shot(*task.pool, settings.per_class, seed)
        outcome = train(learner, method.start(), few, held_out, settings)
        accuracies.append(outcome.curve[-1])
        advance()
    return np.mean(accuracies)
