"""Data and sizes of the demos."""

import dataclasses
from typing import NamedTuple

from keras_otreg.data import Labelled, few_shot, letters, mnist5k, optdigits
from keras_otreg.experiments.settings import Settings


class Task(NamedTuple):
    """Labelled images of a source and of a target, of the same shape.

    Attributes:
        source: Data to train the source network on.
        source_test: Data to test it on.
        pool: Target data that the few labels are drawn from.
        test: Target data for the reported accuracies alone.
    """

    source: Labelled
    source_test: Labelled
    pool: Labelled
    test: Labelled


def digits() -> Task:
    """Transfer from MNIST's digits to those of another scanner."""
    return Task(*mnist5k(), *optdigits())


def letters_and_digits() -> Task:
    """Transfer from printed letters to MNIST's digits."""
    test, train = few_shot(*letters(), per_class=20, seed=0)
    return Task(train, test, *mnist5k())


def joint(settings: Settings) -> Settings:
    """Settings for learning beside a source of other classes."""
    return dataclasses.replace(
        settings,
        per_class=5,
        source_epochs=6,
        steps=100,
        points=5,
        strengths=(),
    )


def quick(settings: Settings) -> Settings:
    """Settings for less than a minute: less source data, fixed strengths."""
    return dataclasses.replace(
        settings,
        source_epochs=settings.source_epochs // 2,
        steps=min(settings.steps, 200),
        points=4,
        strengths=(),
    )
